"""All that is stored, read back in a canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from neo4j import AsyncTransaction

from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.neo4j.connection import run
from projections.graph.neo4j.layout import Layout

__all__ = ["dump", "page"]


async def dump(tx: AsyncTransaction, checkpoint: Checkpoint, catalog: Catalog, layout: Layout) -> Mapping[str, Any]:
    entities: dict[str, Any] = {}
    for type_ in sorted(layout.labels):
        found = await _entities(tx, layout, type_, "", {})
        entities |= {f"{type_}/{id}": entity for id, entity in found.items()}
    names = layout.names
    gone = await (await run(tx, f"MATCH (t:{names.tombstone}) RETURN t.entity, t.version ORDER BY t.entity")).values()
    known = await (
        await run(tx, f"MATCH (t:{names.transaction}) RETURN t.tx, t.request, t.sequence, t.result ORDER BY t.tx")
    ).values()
    return {
        "checkpoint": [checkpoint.epoch, checkpoint.sequence, f"{checkpoint.hash:x}"],
        "catalog": catalog.to_json(),
        "entities": entities,
        "tombstones": dict(gone),
        "transactions": {
            tx: [request, sequence, msgspec.json.decode(result)] for tx, request, sequence, result in known
        },
    }


async def page(tx: AsyncTransaction, layout: Layout, section: str, after: str, limit: int) -> dict[str, Any]:
    """The first `limit` entries of a section after a key, in the order of their keys: `Type` of `app/Type` gives its entities by id."""
    names, values = layout.names, {"after": after, "limit": limit}
    if section == "tombstones":
        text = f"MATCH (t:{names.tombstone}) WHERE t.entity > $after RETURN t.entity, t.version ORDER BY t.entity LIMIT $limit"
        return dict(await (await run(tx, text, values)).values())
    if section == "transactions":
        text = (
            f"MATCH (t:{names.transaction}) WHERE t.tx > $after "
            "RETURN t.tx, t.request, t.sequence, t.result ORDER BY t.tx LIMIT $limit"
        )
        found = await (await run(tx, text, values)).values()
        return {one: [request, sequence, msgspec.json.decode(result)] for one, request, sequence, result in found}
    if section not in layout.labels:
        return {}
    return await _entities(tx, layout, section, "WHERE n.id > $after WITH n ORDER BY n.id LIMIT $limit", values)


async def _entities(
    tx: AsyncTransaction, layout: Layout, type_: str, picked: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """By id, in order: version, scalars that have a value, links; for the entities that `picked` matches."""
    label = layout.labels[type_]
    found: dict[str, Any] = {}
    async for record in await run(tx, f"MATCH (n:{label.name}) {picked} RETURN properties(n) ORDER BY n.id", values):
        node: Mapping[str, Any] = record.values()[0]
        fields = {name: value for name, value in node.items() if name in label.scalars}
        found[node["id"]] = {"version": node["_version"], "fields": fields, "links": {}}
    for name in sorted(label.relations):
        relation = layout.names.relation(type_, name)
        text = f"MATCH (n:{label.name}) {picked} MATCH (n)-[:{relation}]->(m) RETURN n.id, m.id ORDER BY n.id, m.id"
        async for record in await run(tx, text, values):
            source, target = record.values()
            found[source]["links"].setdefault(name, []).append(target)
    return found
