"""Changes the tables to a new layout: adds what is new, empties a field that changed its shape, and never drops a
type's data."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from projections.graph.catalog import Catalog
from projections.graph.sqlite.layout import Layout, Members, Table
from projections.graph.values import stored_value, terms

__all__ = ["column_value", "fill", "member_rows", "migrate"]


def migrate(connection: sqlite3.Connection, before: Layout, after: Layout, *, put_off: bool = False) -> None:
    """Run the statements that lead from `before` to `after`, in the open transaction. `put_off`: leave out the indexes
    that only readers need."""
    for name, table in after.tables.items():
        old = before.tables.get(name)
        if old is None:
            # With all its columns: for each column that is added later, SQLite reads the definitions of all tables
            # again.
            old = Table(name, table.name, columns=table.columns, edges={}, members={}, indexes={})
            columns = "".join(f", {column.sql} {column.affinity}" for column in table.columns.values())
            connection.execute(
                f"CREATE TABLE {table.name} (id TEXT NOT NULL UNIQUE, _version INTEGER NOT NULL{columns})"
            )
        _indexes_off(connection, old, table)
        _edges(connection, old, table)
        _columns(connection, old, table)
        _members(connection, old, table)
        for index, statement in table.indexes.items():
            if put_off and index not in table.folding:
                continue
            if old.indexes.get(index) != statement or _lost(old, table):
                connection.execute(f"DROP INDEX IF EXISTS {index}")
                connection.execute(statement)


def fill(
    connection: sqlite3.Connection, layout: Layout, stored: Catalog, defaults: Mapping[str, Mapping[str, Any]]
) -> None:
    """Give each of these fields, by type and name, its default where an entity has no value."""
    for type_, fields in defaults.items():
        table = layout.tables[type_]
        for name, default in fields.items():
            value = column_value(stored_value(stored.types[type_].fields[name], default))
            column = table.columns[name].sql
            if name in table.members:
                part = table.members[name]
                for member, _ in member_rows(part, "", value):
                    connection.execute(
                        f"INSERT INTO {part.table} SELECT ?, id FROM {table.name} WHERE {column} IS NULL", (member,)
                    )
            connection.execute(f"UPDATE {table.name} SET {column} = ? WHERE {column} IS NULL", (value,))


def column_value(value: Any) -> Any:
    """A value in the form of its column: a list as JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def member_rows(members: Members, id: str, value: object) -> list[tuple[object, str]]:
    """The rows of a field's member table for one entity; `value` in the form of its column."""
    if value is None:
        return []
    if members.kind == "words":
        return [(word, id) for word in terms(str(value))]
    return [(item, id) for item in set(msgspec.json.decode(str(value)))]


def _lost(old: Table, new: Table) -> set[str]:
    """Columns whose field has another shape now, or no longer needs a column."""
    return {
        name
        for name, column in old.columns.items()
        if name not in new.columns or new.columns[name].shape != column.shape
    }


def _indexes_off(connection: sqlite3.Connection, old: Table, new: Table) -> None:
    """Indexes that are no longer wanted, and all of a table that loses a column (SQLite refuses to drop an indexed
    one)."""
    for index in old.indexes if _lost(old, new) else old.indexes.keys() - new.indexes.keys():
        connection.execute(f"DROP INDEX IF EXISTS {index}")


def _columns(connection: sqlite3.Connection, old: Table, new: Table) -> None:
    lost = _lost(old, new)
    for name in lost:
        connection.execute(f"ALTER TABLE {new.name} DROP COLUMN {old.columns[name].sql}")
    for name, column in new.columns.items():
        if name not in old.columns or name in lost:
            connection.execute(f"ALTER TABLE {new.name} ADD COLUMN {column.sql} {column.affinity}")


def _edges(connection: sqlite3.Connection, old: Table, new: Table) -> None:
    for name, edges in old.edges.items():
        if name not in new.edges or new.edges[name].shape != edges.shape:
            connection.execute(f"DROP TABLE {edges.table}")
    for name, edges in new.edges.items():
        if name not in old.edges or old.edges[name].shape != edges.shape:
            connection.execute(
                f"CREATE TABLE {edges.table} (source TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (source, target)) "
                "WITHOUT ROWID"
            )
            reverse = edges.table[:-1] + ':reverse"'
            connection.execute(f"CREATE INDEX {reverse} ON {edges.table} (target, source)")


def _members(connection: sqlite3.Connection, old: Table, new: Table) -> None:
    stays = {name for name, part in new.members.items() if old.members.get(name) == part} - _lost(old, new)
    for name, part in old.members.items():
        if name not in stays:
            connection.execute(f"DROP TABLE {part.table}")
    for name, part in new.members.items():
        if name in stays:
            continue
        connection.execute(
            f"CREATE TABLE {part.table} (member NOT NULL, id TEXT NOT NULL, PRIMARY KEY (member, id)) WITHOUT ROWID"
        )
        connection.execute(f'CREATE INDEX {part.table[:-1]}:id" ON {part.table} (id)')
        column = new.columns[name].sql
        rows = connection.execute(f"SELECT id, {column} FROM {new.name} WHERE {column} IS NOT NULL")
        for id, value in rows.fetchall():
            connection.executemany(f"INSERT INTO {part.table} VALUES (?, ?)", member_rows(part, id, value))
