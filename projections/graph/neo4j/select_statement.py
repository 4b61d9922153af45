"""A select as one Cypher statement: each level is a list expression, children are subqueries in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.contract import Aggregate, Child, Order, Row, Select
from projections.graph.cursor import decode_cursor, encode_cursor, sort_keys, window
from projections.graph.neo4j.filters import Conditions
from projections.graph.neo4j.layout import Label, has_own_index
from projections.graph.neo4j.names import quoted
from projections.graph.relation import find_relation, find_scalar

__all__ = ["VALUE", "AggregateColumns", "Level", "beyond", "order_by", "value_of"]

MAX_DEPTH = 32
# The size of a value beyond its characters.
VALUE = 16
Fill = Callable[[Row, Any], None]


def value_of(alias: str, field: str) -> str:
    return f"{alias}.{quoted(field)}"


def order_by(keys: Sequence[Order], alias: str) -> str:
    """MissingRanges values come last; in ascending order, Cypher does that by itself."""
    parts: list[str] = []
    for key in keys:
        value = value_of(alias, key.field)
        if key.descending and key.field != "id":
            parts.append(f"{value} IS NULL")
        parts.append(f"{value} DESC" if key.descending else value)
    return ", ".join(parts)


def _present(keys: Sequence[Order], alias: str) -> str:
    """The order of the nodes with a value, which an index can provide."""
    return ", ".join(f"{value_of(alias, key.field)}{' DESC' if key.descending else ''}" for key in keys)


def beyond(conditions: Conditions, keys: Sequence[Order], at: Sequence[Any], alias: str) -> str:
    """The condition for nodes after the cursor's."""
    key, value = keys[0], value_of(alias, keys[0].field)
    sign = "<" if key.descending else ">"
    if len(keys) == 1:
        return f"{value} {sign} {conditions.bind(at[0])}"
    rest = beyond(conditions, keys[1:], at[1:], alias)
    if at[0] is None:
        return f"({value} IS NULL AND {rest})"
    bound = conditions.bind(at[0])
    return f"({value} {sign} {bound} OR {value} IS NULL OR ({value} = {bound} AND {rest}))"


class Level:
    """One select: the parts of its statement, and how a list of values becomes a row of the answer.

    `sized`: the list begins with the size of all that is in it, as the server computes it: one entity may have so much
    below it that its list must not even be sent.
    """

    def __init__(self, conditions: Conditions, select: Select, depth: int = 1, *, sized: bool = False) -> None:
        if depth > MAX_DEPTH:
            raise Rejected(f"a query may follow at most {MAX_DEPTH} relations")
        self._conditions, self._catalog, self._select, self._depth = conditions, conditions.catalog, select, depth
        self.alias = conditions.alias()
        self.keys = sort_keys(self._catalog, select)
        self._columns: list[str] = []
        self._fills: list[Fill] = []
        self._sized, self._sizes, self._lists = sized, list[str](), list[str]()
        if sized:
            self._fills.append(_nowhere)
        for name in dict.fromkeys(select.scalars):
            field = find_scalar(self._catalog, select.type, name)
            self._add(value_of(self.alias, name), _under(name))
            self._sizes += _size(value_of(self.alias, name), field)
        if select.version:
            self._add(f"{self.alias}._version", _under("_version"))
        if select.cursor:
            values = ", ".join(value_of(self.alias, key.field) for key in self.keys)
            self._add(f"[{values}]", lambda row, found: row.update(_cursor=encode_cursor(self.keys, found)))
        for child in select.children:
            self._child(child)
        size = [" + ".join([str(VALUE * len(self._columns)), *self._sizes])] if sized else []
        self.columns = "[" + ", ".join([*size, *self._columns]) + "]"
        self.lists = "".join(f" WITH *, {one}" for one in [", ".join(self._lists)] if one)

    def _add(self, column: str, fill: Fill) -> None:
        self._columns.append(column)
        self._fills.append(fill)

    def row(self, values: Sequence[Any]) -> Row:
        row: Row = {}
        for fill, value in zip(self._fills, values, strict=True):
            fill(row, value)
        return row

    def where(self) -> str:
        """The select's own condition on its nodes, after ' WHERE '; '' without one."""
        select, wanted = self._select, list[str]()
        if select.filter is not None:
            wanted.append(self._conditions.write(select.filter, select.type, self.alias))
        if select.after is not None:
            wanted.append(beyond(self._conditions, self.keys, decode_cursor(self.keys, select.after), self.alias))
        return f" WHERE {' AND '.join(wanted)}" if wanted else ""

    def match(self, label: Label) -> str:
        """The nodes that pass. If an index has the order of the page, only nodes that the page may hold."""
        first, offset = window(self._select)
        key, where = self.keys[0], self.where()
        matched = f"MATCH ({self.alias}:{label.name})"
        if first is None or len(self.keys) > 2 or not has_own_index(label, key.field):
            return matched + where
        value, alias, taken = value_of(self.alias, key.field), self.alias, self._conditions.bind(first + offset)
        both = f"{where} AND" if where else " WHERE"
        # Nodes without a value come last and are in no index: they are looked up only if the others do not fill the
        # page.
        return (
            f"CALL () {{ {matched}{both} {value} IS NOT NULL WITH {alias} ORDER BY {_present(self.keys, alias)} LIMIT {taken} "
            f"RETURN collect({alias}) AS present }} "
            f"CALL (present) {{ UNWIND present AS {alias} RETURN {alias} UNION ALL "
            f"UNWIND CASE WHEN size(present) < {taken} THEN [1] ELSE [] END AS more "
            f"{matched}{both} {value} IS NULL RETURN {alias} ORDER BY {order_by(self.keys[1:], alias)} LIMIT {taken} }}"
        )

    def page(self) -> str:
        first, offset = window(self._select)
        text = f" ORDER BY {order_by(self.keys, self.alias)}"
        if offset:
            text += f" SKIP {self._conditions.bind(offset)}"
        if first is not None:
            text += f" LIMIT {self._conditions.bind(first)}"
        return text

    def _counted(self, path: str, alias: str, select: Select, one: Aggregate) -> str:
        """An aggregate over the children, as an expression: Cypher has no aggregate functions inside one."""
        field = aggregated_field(self._catalog, select.type, one)
        value = value_of(alias, field) if field else ""
        wanted = [self._conditions.write(select.filter, select.type, alias)] if select.filter is not None else []
        wanted += [f"{value} IS NOT NULL"] if field else []
        matched = path + (f" WHERE {' AND '.join(wanted)}" if wanted else "")
        if one.function == "count":
            return f"COUNT {{ {matched} }}"
        if one.function in ("min", "max"):
            return f"COLLECT {{ {matched} RETURN {value} ORDER BY {value}{' DESC' if one.function == 'max' else ''} LIMIT 1 }}[0]"
        found = f"COLLECT {{ {matched} RETURN {value} }}"
        total = f"reduce(total = 0, item IN {found} | total + item)"
        result = f"toFloat({total}) / size({found})" if one.function == "avg" else total
        return f"CASE WHEN EXISTS {{ {matched} }} THEN {result} END"

    def _child(self, child: Child) -> None:
        relation = find_relation(self._catalog, self._select.type, child.field)
        if child.select.type != relation.target:
            raise Rejected(
                f"{child.field!r} of {self._select.type!r} gives {relation.target!r}, not {child.select.type!r}"
            )
        level = Level(self._conditions, child.select, self._depth + 1, sized=self._sized)
        path = f"MATCH {self._conditions.path(relation, self.alias, level.alias)}"
        if child.aggregates:
            columns = [self._counted(path, level.alias, child.select, one) for one in child.aggregates]
            keys = [one.key for one in child.aggregates]
            self._add(
                f"[{', '.join(columns)}]",
                lambda row, found: row.update({child.key: dict(zip(keys, found, strict=True))}),
            )
            return
        alone = relation.to_one and relation.forward and child.select.first is None and not child.select.offset
        page = "" if alone else f" WITH {level.alias}{level.page()}"
        text = f"COLLECT {{ {path}{level.where()}{page}{level.lists} RETURN {level.columns} }}"
        if self._sized:
            name = f"{level.alias}s"
            self._lists.append(f"{text} AS {name}")
            self._sizes.append(f"reduce(total = 0, row IN {name} | total + row[0])")
            text = name
        self._add(text, _related(child.key, level, relation.many))


def _under(key: str) -> Fill:
    def fill(row: Row, value: Any) -> None:
        row[key] = value

    return fill


def _nowhere(row: Row, value: Any) -> None:
    """The size is not part of the answer."""


def _size(value: str, field: FieldDef) -> list[str]:
    if field.many:
        letters = " + size(item)" if field.kind in ("String", "ID") else ""
        return [f"reduce(total = 0, item IN coalesce({value}, []) | total + {VALUE}{letters})"]
    return [f"coalesce(size({value}), 0)"] if field.kind in ("String", "ID") else []


def _related(key: str, level: Level, many: bool) -> Fill:
    def fill(row: Row, found: Any) -> None:
        rows = [level.row(values) for values in found]
        row[key] = rows if many else next(iter(rows), None)

    return fill


def aggregated_field(catalog: Catalog, type: str, one: Aggregate) -> str:
    """The field's name, '' for a count of all; raises `Rejected`."""
    if one.function == "count" and not one.field:
        return ""
    field = find_scalar(catalog, type, one.field)
    if field.many or (one.function in ("sum", "avg") and field.kind not in ("Int", "Int64", "Float")):
        raise Rejected(f"{one.field!r} of {type!r} has no {one.function}")
    return one.field


class AggregateColumns:
    """`WITH {values} RETURN {names}` gives one list, in the order of the aggregates."""

    def __init__(self, conditions: Conditions, type: str, aggregates: Sequence[Aggregate], alias: str) -> None:
        self._keys = [one.key for one in aggregates]
        columns: list[str] = []
        for one in aggregates:
            if not aggregated_field(conditions.catalog, type, one):
                columns.append("count(*)")
                continue
            value = value_of(alias, one.field)
            found = f"toFloat(sum({value})) / count({value})" if one.function == "avg" else f"{one.function}({value})"
            columns.append(
                found if one.function == "count" else f"CASE count({value}) WHEN 0 THEN null ELSE {found} END"
            )
        self.values = ", ".join(f"{column} AS a{number}" for number, column in enumerate(columns)) or "count(*) AS none"
        self.names = "[" + ", ".join(f"a{number}" for number in range(len(columns))) + "]"

    def row(self, values: Sequence[Any]) -> Row:
        return dict(zip(self._keys, values, strict=True))
