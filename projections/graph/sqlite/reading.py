"""Reads: each level of a select is one statement, whatever the number of parents; pages per parent come from window functions."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog
from projections.graph.contract import Aggregate, Child, Filter, Group, IdIn, ReadBudget, Row, Select
from projections.graph.cursor import decode_cursor, window
from projections.graph.relation import Relation, find_relation, find_scalar, find_type
from projections.graph.sqlite.columns import AggregateColumns, ColumnsCache, LevelColumns, Record, converter
from projections.graph.sqlite.filters import Condition
from projections.graph.sqlite.layout import Layout, quoted, table_name
from projections.graph.sqlite.paging import beyond, first_key_range

__all__ = ["Reader"]

MAX_DEPTH = 32
# The size of a value beyond its characters.
VALUE = 16


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the rows of a level come from, and which column holds their parent ('' at the root). `own`: an indexed
    column of the rows themselves, by which a parent may have many."""

    sql: str
    parent: str = "''"
    own: bool = False


class Reader:
    """Answers from one connection, with the current catalog. It raises only `Rejected` and sqlite3's own errors."""

    def __init__(self, connection: sqlite3.Connection, catalog: Catalog, layout: Layout, levels: ColumnsCache) -> None:
        self._connection, self._catalog, self._layout, self._levels = connection, catalog, layout, levels
        self._budget: ReadBudget | None = None

    def fetch(self, select: Select) -> list[Row]:
        self._budget = select.budget
        find_type(self._catalog, select.type)
        level = self._levels.of(select)
        return self._rows(level, select, self._root(level, select), 1)

    def _root(self, level: LevelColumns, select: Select) -> list[Record]:
        table = f"{table_name(select.type)} AS t"
        if select.after is not None:
            return self._page_after(level, select, _Source(table))
        if (
            isinstance(select.filter, IdIn) and len(select.filter.ids) == 1 and window(select) == (1, 0)
        ):  # the usual case
            return self._all(f"SELECT {level.columns}, '' AS parent FROM {table} WHERE t.id = ?", select.filter.ids)
        return self._page(level, select, _Source(table), None)

    # --- one level ---------------------------------------------------------------------------------------------------------------

    def _page(self, level: LevelColumns, select: Select, source: _Source, parents: list[str] | None) -> list[Record]:
        """The records of one level. `parents`: their ids, None at the root."""
        first, offset = window(select)
        condition = Condition(self._catalog, self._layout)
        paged = first is not None or offset > 0
        each = parents is not None and paged and not level.single_parent
        if each and source.own:
            return self._page_of_each(level, select, source, parents or [])
        where = [f"{source.parent} IN {condition.ids(parents)}"] if parents is not None else []
        if select.filter is not None:
            where.append(condition.write(select.filter, select.type, "t"))
        if parents is not None and select.after is not None:
            where.append(beyond(level.keys, decode_cursor(level.keys, select.after), "t", condition.values))
        columns = f"{level.columns}, {source.parent} AS parent"
        if each:
            inner = (
                f"SELECT {columns}, row_number() OVER (PARTITION BY {source.parent} ORDER BY {level.order}) AS n "
                f"FROM {source.sql} WHERE {' AND '.join(where)}"
            )
            upper = "" if first is None else " AND n <= ?"
            condition.values += [offset] if first is None else [offset, offset + first]
            return self._all(f"SELECT * FROM ({inner}) WHERE n > ?{upper} ORDER BY n", condition.values)
        sql = f"SELECT {columns} FROM {source.sql}"
        if where:
            sql += f" WHERE {' AND '.join(where)}"
        if not level.one_each:
            sql += f" ORDER BY {level.order}"
        if paged:
            sql += " LIMIT ? OFFSET ?"
            condition.values += [-1 if first is None else first, offset]
        return self._all(sql, condition.values)

    def _page_of_each(self, level: LevelColumns, select: Select, source: _Source, parents: list[str]) -> list[Record]:
        """A page for each parent, read from the index on the children's own link: a window function would number all
        children first."""
        first, offset = window(select)
        condition = Condition(self._catalog, self._layout)
        condition.values.append(msgspec.json.encode(parents).decode())
        where = [f"{source.parent} = p.value"]
        if select.filter is not None:
            where.append(condition.write(select.filter, select.type, "t"))
        if select.after is not None:
            where.append(beyond(level.keys, decode_cursor(level.keys, select.after), "t", condition.values))
        condition.values += [-1 if first is None else first, offset]
        inner = f"SELECT t.rowid FROM {source.sql} WHERE {' AND '.join(where)} ORDER BY {level.order} LIMIT ? OFFSET ?"
        sql = (
            f"SELECT {level.columns}, p.value AS parent FROM json_each(?) AS p CROSS JOIN {source.sql} "
            f"WHERE t.rowid IN ({inner}) ORDER BY {level.order}"
        )
        return self._all(sql, condition.values)

    def _page_after(self, level: LevelColumns, select: Select, source: _Source) -> list[Record]:
        """The page after a cursor at the root, from as few index ranges as possible."""
        first, offset = window(select)
        at = decode_cursor(level.keys, select.after or "")
        wanted = -1 if first is None else first + offset
        records: list[Record] = []
        for range_, range_values in first_key_range(level.keys, at, "t"):
            condition = Condition(self._catalog, self._layout)
            condition.values += range_values
            where = [range_]
            if range_values or at[0] is None:
                where.append(beyond(level.keys, at, "t", condition.values))
            if select.filter is not None:
                where.append(condition.write(select.filter, select.type, "t"))
            condition.values.append(-1 if wanted < 0 else wanted - len(records))
            records += self._all(
                f"SELECT {level.columns}, '' AS parent FROM {source.sql} WHERE {' AND '.join(where)} "
                f"ORDER BY {level.order} LIMIT ?",
                condition.values,
            )
            if len(records) == wanted:
                break
        return records[offset:]

    def _all(self, sql: str, values: Sequence[Any]) -> list[Record]:
        found = self._connection.execute(sql, values)
        if self._budget is None:
            return found.fetchall()
        records: list[Record] = []
        for record in found:
            self._budget.take(sum([VALUE + len(one) if isinstance(one, str) else VALUE for one in record]))
            records.append(record)
        return records

    def _rows(self, level: LevelColumns, select: Select, records: list[Record], depth: int) -> list[Row]:
        if depth > MAX_DEPTH:
            raise Rejected(f"a query may follow at most {MAX_DEPTH} relations")
        rows = level.rows(records)
        for child in select.children:
            self._add_child(level, select.type, child, records, rows, depth)
        return rows

    # --- children ----------------------------------------------------------------------------------------------------------------

    def _add_child(
        self, level: LevelColumns, type: str, child: Child, records: list[Record], rows: list[Row], depth: int
    ) -> None:
        relation = level.relations[child.field]
        if child.select.type != relation.target:
            raise Rejected(f"{child.field!r} of {type!r} gives {relation.target!r}, not {child.select.type!r}")
        position = level.link_position(relation)
        keys = [record[position] for record in records]
        parents = list(dict.fromkeys(key for key in keys if key is not None))
        if child.aggregates:
            found = self._aggregates_of(relation, child, parents)
            empty = AggregateColumns(self._catalog, relation.target, child.aggregates).empty()
            for row, key in zip(rows, keys, strict=True):
                row[child.key] = found.get(key, empty)
            return
        by_parent = self._children(relation, child.select, parents, depth)
        for row, key in zip(rows, keys, strict=True):
            children = by_parent.get(key)
            row[child.key] = (children or []) if relation.many else children[0] if children else None

    def _children(self, relation: Relation, select: Select, parents: list[str], depth: int) -> dict[str, list[Row]]:
        grouped: dict[str, list[Row]] = defaultdict(list)
        one_each = relation.to_one and relation.forward
        level = self._levels.of(select, single_parent=len(parents) == 1, one_each=one_each)
        if parents:
            records = self._page(level, select, self._source(relation), parents)
            at = level.parent
            for record, row in zip(records, self._rows(level, select, records, depth + 1), strict=True):
                grouped[record[at]].append(row)
        return grouped

    def _source(self, relation: Relation) -> _Source:
        target = f"{table_name(relation.target)} AS t"
        if relation.to_one:
            return _Source(target, "t.id" if relation.forward else f"t.{quoted(relation.field)}", not relation.forward)
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
        wanted = AggregateColumns(self._catalog, type, aggregates)
        condition = Condition(self._catalog, self._layout)
        where = f" WHERE {condition.write(filter, type, 't')}" if filter is not None else ""
        return wanted.row(self._all(f"SELECT {wanted.sql} FROM {table_name(type)} AS t{where}", condition.values)[0])

    def _aggregates_of(self, relation: Relation, child: Child, parents: list[str]) -> dict[str, Row]:
        wanted = AggregateColumns(self._catalog, relation.target, child.aggregates)
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
        convert = converter(field) or _same
        return [(convert(value), count) for value, count in self._all(sql, [*condition.values, limit])]


def _same(value: Any) -> Any:
    return value
