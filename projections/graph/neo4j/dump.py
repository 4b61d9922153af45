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

__all__ = ["dump"]


async def dump(tx: AsyncTransaction, checkpoint: Checkpoint, catalog: Catalog, layout: Layout) -> Mapping[str, Any]:
    nodes: dict[str, Any] = {}
    for type_, label in sorted(layout.labels.items()):
        found: dict[str, Any] = {}
        async for (values,) in await run(tx, f"MATCH (n:{label.name}) RETURN properties(n) ORDER BY n.id"):
            fields = {name: value for name, value in values.items() if name in label.scalars}
            found[values["id"]] = {"version": values["_version"], "fields": fields, "links": {}}
        for name in sorted(label.relations):
            relation = layout.names.relation(type_, name)
            text = f"MATCH (n:{label.name})-[:{relation}]->(m) RETURN n.id, m.id ORDER BY n.id, m.id"
            async for source, target in await run(tx, text):
                found[source]["links"].setdefault(name, []).append(target)
        nodes |= {f"{type_}/{id}": entity for id, entity in found.items()}
    names = layout.names
    gone = await (await run(tx, f"MATCH (t:{names.tombstone}) RETURN t.entity, t.version ORDER BY t.entity")).values()
    known = await (
        await run(tx, f"MATCH (t:{names.transaction}) RETURN t.tx, t.request, t.sequence, t.result ORDER BY t.tx")
    ).values()
    return {
        "checkpoint": [checkpoint.epoch, checkpoint.sequence, f"{checkpoint.hash:x}"],
        "catalog": catalog.to_json(),
        "nodes": nodes,
        "tombstones": dict(gone),
        "transactions": {
            tx: [request, sequence, msgspec.json.decode(result)] for tx, request, sequence, result in known
        },
    }
