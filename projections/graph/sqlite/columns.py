"""Which columns are read of each row, and how a record of SQLite's becomes a row of the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.contract import Aggregate, Order, Row, Select
from projections.graph.cursor import encode_cursor, sort_keys
from projections.graph.relation import Relation, find_relation, find_scalar
from projections.graph.sqlite.layout import quoted
from projections.graph.sqlite.paging import order_by

__all__ = ["AggregateColumns", "ColumnsCache", "LevelColumns", "Record", "converter"]

_decode = msgspec.json.Decoder().decode
Record = tuple[Any, ...]


def _boolean(value: Any) -> Any:
    return None if value is None else bool(value)


def _list(value: Any) -> Any:
    return None if value is None else _decode(value)


def converter(field: FieldDef) -> Callable[[Any], Any] | None:
    if field.many:
        return _list
    return _boolean if field.kind == "Boolean" else None


class LevelColumns:
    """Which columns are read of each row of a select, and how a record becomes a row of the answer.

    A record begins with the requested values, in order; then comes what only ordering and child levels need, then the
    parent. It does not depend on the select's filter, page and arguments, so one object serves all selects of a shape;
    see `ColumnsCache`.
    """

    def __init__(
        self, catalog: Catalog, select: Select, *, single_parent: bool = False, one_each: bool = False
    ) -> None:
        self.single_parent, self.one_each = single_parent, one_each
        self.keys: tuple[Order, ...] = sort_keys(catalog, select)
        self.relations = {child.field: find_relation(catalog, select.type, child.field) for child in select.children}
        self._positions: dict[str, int] = {}
        self._columns: list[str] = []
        self._names = tuple(dict.fromkeys(select.scalars)) + (("_version",) if select.version else ())
        for name in self._names:
            self._position(name)
        fields = {name: find_scalar(catalog, select.type, name) for name in self._names if name != "_version"}
        self._converted = [(name, convert) for name, field in fields.items() if (convert := converter(field))]
        self._position("id")
        self._cursor = _picker([self._position(key.field) for key in self.keys]) if select.cursor else None
        self._cursor_converters = [converter(find_scalar(catalog, select.type, key.field)) for key in self.keys]
        for relation in self.relations.values():
            if relation.to_one and relation.forward:
                self._position(relation.field)
        self.columns = ", ".join(self._columns)
        self.order = order_by(self.keys, "t")
        self.parent = len(self._columns)

    def _position(self, name: str) -> int:
        if name not in self._positions:
            self._positions[name] = len(self._columns)
            self._columns.append("t._version" if name == "_version" else f"t.{quoted(name)}")
        return self._positions[name]

    def link_position(self, relation: Relation) -> int:
        """Where a record holds the value by which the child level finds its parent: the link itself, or the id."""
        return self._positions[relation.field if relation.to_one and relation.forward else "id"]

    def rows(self, records: Sequence[Record]) -> list[Row]:
        names = self._names
        rows = [dict(zip(names, record, strict=False)) for record in records]  # a record has more values than names
        for name, convert in self._converted:
            for row in rows:
                row[name] = convert(row[name])
        if self._cursor is not None:
            for row, record in zip(rows, records, strict=True):
                values = zip(self._cursor(record), self._cursor_converters, strict=True)
                row["_cursor"] = encode_cursor(
                    self.keys, [convert(value) if convert else value for value, convert in values]
                )
        return rows


class ColumnsCache:
    """The columns of each shape of select that has been asked of one catalog."""

    MOST = 1_000

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[Hashable, LevelColumns] = {}

    def of(self, select: Select, *, single_parent: bool = False, one_each: bool = False) -> LevelColumns:
        """Raises `Rejected` for a select with an unknown name."""
        children = tuple(child.field for child in select.children)
        key = (
            select.type,
            select.scalars,
            select.order,
            select.cursor,
            select.version,
            children,
            single_parent,
            one_each,
        )
        if (made := self._made.get(key)) is None:
            made = LevelColumns(self._catalog, select, single_parent=single_parent, one_each=one_each)
            if len(self._made) >= self.MOST:
                self._made.clear()
            self._made[key] = made
        return made


def _picker(positions: list[int]) -> Callable[[Record], Sequence[Any]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda record: tuple(record[position] for position in positions)


class AggregateColumns:
    def __init__(self, catalog: Catalog, type: str, aggregates: Sequence[Aggregate]) -> None:
        self._keys = [(one.key, one.function) for one in aggregates]
        self._convert: list[Callable[[Any], Any] | None] = []
        parts: list[str] = []
        for one in aggregates:
            if one.function == "count" and not one.field:
                parts.append("count(*)")
                self._convert.append(None)
                continue
            field = find_scalar(catalog, type, one.field)
            if field.many or (one.function in ("sum", "avg") and field.kind not in ("Int", "Int64", "Float")):
                raise Rejected(f"{one.field!r} of {type!r} has no {one.function}")
            parts.append(f"{one.function}(t.{quoted(one.field)})")
            self._convert.append(converter(field) if one.function in ("min", "max") else None)
        self.sql = ", ".join(parts) or "1"

    def row(self, record: Record) -> Row:
        pairs = zip(self._keys, record, self._convert, strict=False)
        return {key: convert(value) if convert else value for (key, _), value, convert in pairs}

    def empty(self) -> Row:
        return {key: 0 if function == "count" else None for key, function in self._keys}
