"""Writes the net changes of a batch into the tables, in the order of `fold.Changes`."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from projections.graph.fold import Changes, Entity, FoldedTransaction, RowChange
from projections.graph.sqlite.layout import Layout, Table
from projections.graph.sqlite.migrate import column_value, member_rows
from projections.retention import TRANSACTION_DAYS

__all__ = ["existing", "write"]

_encode = msgspec.json.Encoder().encode


def existing(connection: sqlite3.Connection, layout: Layout, touched: dict[str, set[str]]) -> dict[str, set[str]]:
    """Those of the ids that have a row."""
    found: dict[str, set[str]] = {}
    for type_, ids in touched.items():
        table = layout.tables[type_].name
        rows = connection.execute(
            f"SELECT id FROM {table} WHERE id IN (SELECT value FROM json_each(?))", (_encode(list(ids)).decode(),)
        )
        found[type_] = {id for (id,) in rows}
    return found


def write(connection: sqlite3.Connection, layout: Layout, changes: Changes) -> None:
    by_type: dict[str, list[tuple[str, RowChange]]] = defaultdict(list)
    for entity, row in changes.rows.items():
        by_type[entity.type].append((entity.id, row))
    for type_, rows in by_type.items():
        if removed := [(id,) for id, row in rows if row.removed]:
            _remove(connection, layout, layout.tables[type_], removed)
    for type_, field, target in changes.released:
        table = layout.tables[type_]
        column = table.columns[field].sql
        connection.execute(f"UPDATE {table.name} SET {column} = NULL WHERE {column} = ?", (target,))
    for type_, rows in by_type.items():
        table = layout.tables[type_]
        _insert(connection, table, [(id, row) for id, row in rows if row.exists and row.fresh])
        _update(connection, table, [(id, row) for id, row in rows if row.exists and not row.fresh])
    _write_edges(connection, layout, changes)
    _write_tombstones(connection, changes.rows.items())
    _write_transactions(connection, changes.transactions)


def _remove(connection: sqlite3.Connection, layout: Layout, table: Table, ids: list[tuple[str]]) -> None:
    """Remove rows with their members, their links and all links that point to them."""
    connection.executemany(f"DELETE FROM {table.name} WHERE id = ?", ids)
    for members in table.members.values():
        connection.executemany(f"DELETE FROM {members.table} WHERE id = ?", ids)
    for edges in table.edges.values():
        connection.executemany(f"DELETE FROM {edges.table} WHERE source = ?", ids)
    for edges in layout.edges_to[table.type]:
        connection.executemany(f"DELETE FROM {edges.table} WHERE target = ?", ids)
    for other, column in layout.columns_to[table.type]:
        connection.executemany(f"UPDATE {other.name} SET {column.sql} = NULL WHERE {column.sql} = ?", ids)


def _insert(connection: sqlite3.Connection, table: Table, rows: list[tuple[str, RowChange]]) -> None:
    if not rows:
        return
    names = list(table.columns)
    columns = "".join(f", {column.sql}" for column in table.columns.values())
    marks = ", ?" * len(names)
    sql = f"INSERT INTO {table.name} (id, _version{columns}) VALUES (?, ?{marks})"
    if any(column.shape[1] for column in table.columns.values()):
        made = [(id, row.version, *(column_value(row.values.get(name)) for name in names)) for id, row in rows]
    else:  # no lists: nothing to turn into JSON
        made = [(id, row.version, *map(row.values.get, names)) for id, row in rows]
    connection.executemany(sql, made)
    _add_members(connection, table, rows)


def _update(connection: sqlite3.Connection, table: Table, rows: list[tuple[str, RowChange]]) -> None:
    unlinked: dict[str, list[tuple[str, str]]] = defaultdict(list)
    same: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for id, row in rows:
        for field, target in row.unlinked:
            unlinked[field].append((id, target))
        values = {table.columns[name].sql: column_value(value) for name, value in row.values.items()}
        if row.version:
            values["_version"] = row.version
        if values:
            same[tuple(values)].append((*values.values(), id))
    for field, pairs in unlinked.items():
        column = table.columns[field].sql
        connection.executemany(f"UPDATE {table.name} SET {column} = NULL WHERE id = ? AND {column} = ?", pairs)
    for columns, values in same.items():
        assignments = ", ".join(f"{column} = ?" for column in columns)
        connection.executemany(f"UPDATE {table.name} SET {assignments} WHERE id = ?", values)
    for members in table.members.values():
        if changed := [(id,) for id, row in rows if members.field in row.values]:
            connection.executemany(f"DELETE FROM {members.table} WHERE id = ?", changed)
    _add_members(connection, table, rows)


def _add_members(connection: sqlite3.Connection, table: Table, rows: list[tuple[str, RowChange]]) -> None:
    for members in table.members.values():
        found = [
            found
            for id, row in rows
            if row.values.get(members.field) is not None
            for found in member_rows(members, id, column_value(row.values[members.field]))
        ]
        if found:
            connection.executemany(f"INSERT INTO {members.table} VALUES (?, ?)", found)


def _write_edges(connection: sqlite3.Connection, layout: Layout, changes: Changes) -> None:
    for type_, field, source in changes.emptied:
        connection.execute(f"DELETE FROM {layout.tables[type_].edges[field].table} WHERE source = ?", (source,))
    for (type_, field), pairs in changes.edges.items():
        table = layout.tables[type_].edges[field].table
        if gone := [pair for pair, there in pairs.items() if not there]:
            connection.executemany(f"DELETE FROM {table} WHERE source = ? AND target = ?", gone)
        if made := [pair for pair, there in pairs.items() if there]:
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", made)


def _write_tombstones(connection: sqlite3.Connection, rows: Iterable[tuple[Entity, RowChange]]) -> None:
    """The versions of deleted entities: the log checks them when such an entity is made again."""
    made: list[tuple[str, str]] = []
    gone: list[tuple[str, str, int]] = []
    for entity, row in rows:
        if row.exists and not row.existed:
            made.append((entity.type, entity.id))
        elif not row.exists and row.version:
            gone.append((entity.type, entity.id, row.version))
    if made and connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone():
        connection.executemany("DELETE FROM tombstones WHERE type = ? AND id = ?", made)
    if gone:
        connection.executemany("INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?)", gone)


def _write_transactions(connection: sqlite3.Connection, transactions: list[FoldedTransaction]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?, ?)",
        [
            (tx, request, sequence, _encode(result).decode(), time)
            for tx, request, sequence, result, time in transactions
        ],
    )
    connection.execute(
        "DELETE FROM transactions WHERE time < (SELECT max(time) FROM transactions) - ?", (TRANSACTION_DAYS * 86400.0,)
    )
