"""Reads: each level of a select is one statement, whatever the number of parents; pages per parent come from window functions."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.cursor import decode_cursor, encode_cursor, sort_keys, window
from projections.graph.port import Aggregate, Child, Filter, Group, Order, Row, Select
from projections.graph.relation import Relation, find_relation, find_scalar, find_type
from projections.graph.sqlite.filters import Condition
from projections.graph.sqlite.layout import Layout, quoted, table_name
from projections.graph.sqlite.paging import beyond, first_key_range, order_by

__all__ = ["Reader"]

MAX_DEPTH = 32
_decode = msgspec.json.Decoder().decode
Record = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the rows of a level come from, and which column tells the parent that they belong to ('' at the root)."""

    sql: str
    parent: str = "''"


class Reader:
    """Answers from one connection, with the catalog of the moment. Everything that it raises is `Rejected` or sqlite3's own."""

    def __init__(self, connection: sqlite3.Connection, catalog: Catalog, layout: Layout) -> None:
        self._connection, self._catalog, self._layout = connection, catalog, layout

    def fetch(self, select: Select) -> list[Row]:
        find_type(self._catalog, select.type)
        plan = _Plan(self._catalog, select)
        source = _Source(f"{table_name(select.type)} AS t")
        records = self._page(plan, source, None, []) if select.after is None else self._page_after(plan, source)
        return self._rows(plan, records, 1)

    # --- one level ---------------------------------------------------------------------------------------------------------------

    def _page(self, plan: _Plan, source: _Source, parents: str | None, values: list[Any]) -> list[Record]:
        """The records of one level. `parents`: the condition that picks the parents (with `values`), None at the root."""
        select = plan.select
        first, offset = window(select)
        condition = Condition(self._catalog, self._layout)
        condition.values += values
        where = [parents] if parents else []
        if select.filter is not None:
            where.append(condition.write(select.filter, select.type, "t"))
        if parents and select.after is not None:
            where.append(beyond(plan.keys, decode_cursor(plan.keys, select.after), "t", condition.values))
        columns = f"{source.parent} AS parent, {plan.columns}"
        paged = first is not None or offset > 0
        if parents and paged and not plan.single_parent:
            inner = (
                f"SELECT {columns}, row_number() OVER (PARTITION BY {source.parent} ORDER BY {order_by(plan.keys, 't')}) AS n "
                f"FROM {source.sql} WHERE {' AND '.join(where)}"
            )
            upper = "" if first is None else " AND n <= ?"
            condition.values += [offset] if first is None else [offset, offset + first]
            return self._all(f"SELECT * FROM ({inner}) WHERE n > ?{upper} ORDER BY n", condition.values)
        sql = f"SELECT {columns} FROM {source.sql}"
        if where:
            sql += f" WHERE {' AND '.join(where)}"
        if not plan.one_each:
            sql += f" ORDER BY {order_by(plan.keys, 't')}"
        if paged:
            sql += " LIMIT ? OFFSET ?"
            condition.values += [-1 if first is None else first, offset]
        return self._all(sql, condition.values)

    def _page_after(self, plan: _Plan, source: _Source) -> list[Record]:
        """The page after a cursor at the root, from as few index ranges as there are."""
        select = plan.select
        first, offset = window(select)
        at = decode_cursor(plan.keys, select.after or "")
        wanted = -1 if first is None else first + offset
        records: list[Record] = []
        for range_, range_values in first_key_range(plan.keys, at, "t"):
            condition = Condition(self._catalog, self._layout)
            condition.values += range_values
            where = [range_]
            if range_values or at[0] is None:
                where.append(beyond(plan.keys, at, "t", condition.values))
            if select.filter is not None:
                where.append(condition.write(select.filter, select.type, "t"))
            condition.values.append(-1 if wanted < 0 else wanted - len(records))
            records += self._all(
                f"SELECT '' AS parent, {plan.columns} FROM {source.sql} WHERE {' AND '.join(where)} "
                f"ORDER BY {order_by(plan.keys, 't')} LIMIT ?",
                condition.values,
            )
            if len(records) == wanted:
                break
        return records[offset:]

    def _all(self, sql: str, values: list[Any]) -> list[Record]:
        return self._connection.execute(sql, values).fetchall()

    def _rows(self, plan: _Plan, records: list[Record], depth: int) -> list[Row]:
        if depth > MAX_DEPTH:
            raise Rejected(f"a query may follow at most {MAX_DEPTH} relations")
        rows = [plan.row(record) for record in records]
        for child in plan.select.children:
            self._add_child(plan, child, records, rows, depth)
        return rows

    # --- children ----------------------------------------------------------------------------------------------------------------

    def _add_child(self, plan: _Plan, child: Child, records: list[Record], rows: list[Row], depth: int) -> None:
        relation = find_relation(self._catalog, plan.select.type, child.field)
        if child.select.type != relation.target:
            raise Rejected(
                f"{child.field!r} of {plan.select.type!r} gives {relation.target!r}, not {child.select.type!r}"
            )
        position = plan.link_position(relation)
        keys = [record[position] for record in records]
        parents = list(dict.fromkeys(key for key in keys if key is not None))
        if child.aggregates:
            found = self._aggregates_of(relation, child, parents)
            empty = _Aggregates(self._catalog, relation.target, child.aggregates).empty()
            for row, key in zip(rows, keys, strict=True):
                row[child.key] = found.get(key, empty)
            return
        by_parent = self._children(relation, child.select, parents, depth)
        for row, key in zip(rows, keys, strict=True):
            children = by_parent.get(key, [])
            row[child.key] = list(children) if relation.many else next(iter(children), None)

    def _children(self, relation: Relation, select: Select, parents: list[str], depth: int) -> dict[str, list[Row]]:
        grouped: dict[str, list[Row]] = defaultdict(list)
        plan = _Plan(
            self._catalog, select, single_parent=len(parents) == 1, one_each=relation.to_one and relation.forward
        )
        if parents:
            source = self._source(relation)
            condition = Condition(self._catalog, self._layout)
            picked = f"{source.parent} IN {condition.ids(parents)}"
            records = self._page(plan, source, picked, condition.values)
            for record, row in zip(records, self._rows(plan, records, depth + 1), strict=True):
                grouped[record[0]].append(row)
        return grouped

    def _source(self, relation: Relation) -> _Source:
        target = f"{table_name(relation.target)} AS t"
        if relation.to_one:
            return _Source(target, "t.id" if relation.forward else f"t.{quoted(relation.field)}")
        here, there = ("source", "target") if relation.forward else ("target", "source")
        edges = table_name(relation.type, relation.field)
        return _Source(f"{edges} AS e CROSS JOIN {target} ON t.id = e.{there}", f"e.{here}")

    def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        relation = find_relation(self._catalog, type, field)
        condition = Condition(self._catalog, self._layout)
        if relation.to_one:
            here, there = ("id", quoted(relation.field)) if relation.forward else (quoted(relation.field), "id")
            table = table_name(relation.type)
        else:
            here, there = ("source", "target") if relation.forward else ("target", "source")
            table = table_name(relation.type, relation.field)
        picked = condition.ids(list(ids))
        found: dict[str, list[str]] = {id: [] for id in ids}
        sql = f"SELECT {here}, {there} FROM {table} WHERE {here} IN {picked} AND {there} IS NOT NULL ORDER BY {there}"
        for one, other in self._all(sql, condition.values):
            found[one].append(other)
        return {id: tuple(others) for id, others in found.items()}

    # --- counting ----------------------------------------------------------------------------------------------------------------

    def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        find_type(self._catalog, type)
        wanted = _Aggregates(self._catalog, type, aggregates)
        condition = Condition(self._catalog, self._layout)
        where = f" WHERE {condition.write(filter, type, 't')}" if filter is not None else ""
        return wanted.row(self._all(f"SELECT {wanted.sql} FROM {table_name(type)} AS t{where}", condition.values)[0])

    def _aggregates_of(self, relation: Relation, child: Child, parents: list[str]) -> dict[str, Row]:
        wanted = _Aggregates(self._catalog, relation.target, child.aggregates)
        source = self._source(relation)
        condition = Condition(self._catalog, self._layout)
        where = f"{source.parent} IN {condition.ids(parents)}"
        if child.select.filter is not None:
            where += f" AND {condition.write(child.select.filter, relation.target, 't')}"
        sql = f"SELECT {wanted.sql}, {source.parent} FROM {source.sql} WHERE {where} GROUP BY {source.parent}"
        return {record[-1]: wanted.row(record) for record in self._all(sql, condition.values)}

    def group(self, type: str, filter: Filter | None, by: Group, limit: int) -> list[tuple[Any, int]]:
        field = find_scalar(self._catalog, type, by.field)
        if field.many or (by.unit and field.kind != "DateTime"):
            raise Rejected(f"{by.field!r} of {type!r} can't be grouped by {by.unit or 'value'}")
        column = f"t.{quoted(by.field)}"
        if by.unit:
            column = f"substr({column}, 1, {({'year': 4, 'month': 7, 'day': 10})[by.unit]})"
        condition = Condition(self._catalog, self._layout)
        where = f" WHERE {condition.write(filter, type, 't')}" if filter is not None else ""
        sql = f"SELECT {column} AS v, count(*) FROM {table_name(type)} AS t{where} GROUP BY v ORDER BY v DESC NULLS LAST LIMIT ?"
        convert = _converter(field) or (lambda value: value)
        return [(convert(value), count) for value, count in self._all(sql, [*condition.values, limit])]


def _boolean(value: Any) -> Any:
    return None if value is None else bool(value)


def _list(value: Any) -> Any:
    return None if value is None else _decode(value)


def _converter(field: FieldDef) -> Callable[[Any], Any] | None:
    if field.many:
        return _list
    return _boolean if field.kind == "Boolean" else None


class _Plan:
    """What is read of each row of a select, and how a record (parent, id, …) becomes the row that is answered."""

    def __init__(
        self, catalog: Catalog, select: Select, *, single_parent: bool = False, one_each: bool = False
    ) -> None:
        self.select, self.single_parent, self.one_each = select, single_parent, one_each
        self.keys: tuple[Order, ...] = sort_keys(catalog, select)
        self._positions: dict[str, int] = {}
        self._columns: list[str] = []
        self._position("id")
        wanted: list[tuple[str, int]] = []
        self._converted: list[tuple[str, Callable[[Any], Any]]] = []
        for name in dict.fromkeys(select.scalars):
            field = find_scalar(catalog, select.type, name)
            wanted.append((name, self._position(name)))
            if (convert := _converter(field)) is not None:
                self._converted.append((name, convert))
        if select.version:
            wanted.append(("_version", self._position("_version")))
        self._names = [name for name, _ in wanted]
        self._pick = _picker([position for _, position in wanted])
        self._cursor = _picker([self._position(key.field) for key in self.keys]) if select.cursor else None
        self._cursor_converters = [_converter(find_scalar(catalog, select.type, key.field)) for key in self.keys]
        for child in select.children:
            relation = find_relation(catalog, select.type, child.field)
            if relation.to_one and relation.forward:
                self._position(relation.field)
        self.columns = ", ".join(self._columns)

    def _position(self, name: str) -> int:
        if name not in self._positions:
            self._columns.append("t._version" if name == "_version" else f"t.{quoted(name)}")
            self._positions[name] = len(self._columns)  # the parent comes first
        return self._positions[name]

    def link_position(self, relation: Relation) -> int:
        """Where a record holds what the child level calls its parent: the link itself, or the id."""
        return self._positions[relation.field if relation.to_one and relation.forward else "id"]

    def row(self, record: Record) -> Row:
        row = dict(zip(self._names, self._pick(record), strict=True))
        for name, convert in self._converted:
            row[name] = convert(row[name])
        if self._cursor is not None:
            values = zip(self._cursor(record), self._cursor_converters, strict=True)
            row["_cursor"] = encode_cursor(
                self.keys, [convert(value) if convert else value for value, convert in values]
            )
        return row


def _picker(positions: list[int]) -> Callable[[Record], Sequence[Any]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda record: tuple(record[position] for position in positions)


class _Aggregates:
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
            self._convert.append(_converter(field) if one.function in ("min", "max") else None)
        self.sql = ", ".join(parts) or "1"

    def row(self, record: Record) -> Row:
        pairs = zip(self._keys, record, self._convert, strict=False)
        return {key: convert(value) if convert else value for (key, _), value, convert in pairs}

    def empty(self) -> Row:
        return {key: 0 if function == "count" else None for key, function in self._keys}
