"""All that is stored of entities, read back in a canonical form."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pcloud.subject import Ref
from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog, TypeDef
from projections.graph.contract import EntityState
from projections.graph.sqlite.layout import Layout, Table

__all__ = ["dump", "page", "read_entities"]

Links = dict[str, dict[str, list[str]]]  # field → source → targets


def read_entities(
    connection: sqlite3.Connection, catalog: Catalog, layout: Layout, refs: Sequence[Ref]
) -> dict[Ref, EntityState]:
    by_type: dict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in refs:
        by_type[ref.app, ref.type].append(ref)
    found: dict[Ref, EntityState] = {}
    for (app, name), members in by_type.items():
        type_ = catalog.types[f"{app}/{name}"]
        ids = msgspec.json.encode([ref.id for ref in members]).decode()
        picked = "IN (SELECT value FROM json_each(?))"
        for ref in members:
            found[ref] = EntityState(ref, 0, exists=False)
        sql = f"SELECT id, version FROM tombstones WHERE type = ? AND id {picked}"
        for id, version in connection.execute(sql, (type_.name, ids)):
            ref = Ref(app, name, id)
            found[ref] = EntityState(ref, version, exists=False)
        for id, version, fields, links in _entities(connection, type_, layout.tables[type_.name], picked, [ids]):
            ref = Ref(app, name, id)
            found[ref] = EntityState(
                ref, version, True, fields, {field: tuple(targets) for field, targets in links.items()}
            )
    return found


def dump(
    connection: sqlite3.Connection, checkpoint: Checkpoint, catalog: Catalog, stored: Catalog, layout: Layout
) -> Mapping[str, Any]:
    entities: dict[str, Any] = {}
    for name, type_ in sorted(stored.types.items()):
        for id, version, fields, links in _entities(
            connection, type_, layout.tables[name], "IS NOT NULL ORDER BY id", []
        ):
            entities[f"{name}/{id}"] = {"version": version, "fields": fields, "links": links}
    gone = connection.execute("SELECT type || '/' || id, version FROM tombstones ORDER BY type, id")
    known = connection.execute("SELECT tx, request, sequence, result FROM transactions ORDER BY tx")
    return {
        "checkpoint": [checkpoint.epoch, checkpoint.sequence, f"{checkpoint.hash:x}"],
        "catalog": catalog.to_json(),
        "entities": entities,
        "tombstones": dict(gone.fetchall()),
        "transactions": {
            tx: [request, sequence, msgspec.json.decode(result)] for tx, request, sequence, result in known
        },
    }


def page(
    connection: sqlite3.Connection, stored: Catalog, layout: Layout, section: str, after: str, limit: int
) -> dict[str, Any]:
    """The first `limit` entries of a section after a key, in the order of their keys: `Type` of `app/Type` gives its entities by id."""
    if section == "tombstones":
        type_, _, id = after.rpartition("/")
        sql = "SELECT type || '/' || id, version FROM tombstones WHERE (type, id) > (?, ?) ORDER BY type, id LIMIT ?"
        return dict(connection.execute(sql, (type_, id, limit)).fetchall())
    if section == "transactions":
        sql = "SELECT tx, request, sequence, result FROM transactions WHERE tx > ? ORDER BY tx LIMIT ?"
        rows = connection.execute(sql, (after, limit))
        return {tx: [request, sequence, msgspec.json.decode(result)] for tx, request, sequence, result in rows}
    if section not in layout.tables:
        return {}
    table = layout.tables[section]
    sql = f"SELECT id FROM {table.name} WHERE id > ? ORDER BY id LIMIT ?"
    ids = [id for (id,) in connection.execute(sql, (after, limit))]
    picked = "IN (SELECT value FROM json_each(?))"
    entities = _entities(connection, stored.types[section], table, picked, [msgspec.json.encode(ids).decode()])
    found = {id: {"version": version, "fields": fields, "links": links} for id, version, fields, links in entities}
    return {id: found[id] for id in ids}


def _entities(
    connection: sqlite3.Connection, type_: TypeDef, table: Table, picked: str, values: list[Any]
) -> Iterable[tuple[str, int, dict[str, Any], dict[str, list[str]]]]:
    """id, version, scalars that have a value, links; for the rows whose id is in `picked`."""
    edges: Links = {}
    for name, stored in table.edges.items():
        if name in type_.fields:
            edges[name] = defaultdict(list)
            condition = picked.split(" ORDER")[0]
            sql = f"SELECT source, target FROM {stored.table} WHERE source {condition} ORDER BY source, target"
            for source, target in connection.execute(sql, values):
                edges[name][source].append(target)
    columns = [column for name, column in table.columns.items() if name in type_.fields]
    names = "".join(f", {column.sql}" for column in columns)
    for id, version, *row in connection.execute(
        f"SELECT id, _version{names} FROM {table.name} WHERE id {picked}", values
    ):
        fields: dict[str, Any] = {}
        links: dict[str, list[str]] = {name: targets[id] for name, targets in edges.items() if id in targets}
        for column, value in zip(columns, row, strict=True):
            definition = type_.fields[column.field]
            if value is None:
                continue
            if definition.is_relation:
                links[column.field] = [value]
            elif definition.many:
                fields[column.field] = msgspec.json.decode(value)
            else:
                fields[column.field] = bool(value) if definition.kind == "Boolean" else value
        yield id, version, fields, links
