"""A node's parts for its graph on a Neo4j server: the versions, the loop that folds into the one in use, and the watch
over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from eventstore import EventStore
from projections.graph.away import PatientTarget
from projections.graph.neo4j import Neo4jSettings, Neo4jVersions
from projections.graph.sqlite import open_sqlite_graph
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Rebuilds
from projections.refill import refill
from projections.versions import VersionFile
from tests.contracts.projections.shelf import BUILTIN
from tests.waiting import PATIENCE

__all__ = ["GraphNode", "as_the_log", "graph_node"]


@dataclass
class GraphNode:
    graph: GraphSwitch
    loop: ProjectionLoop[Any]
    rebuilds: Rebuilds

    async def count(self, type: str) -> int:
        from projections.graph.contract import Aggregate

        return (await self.graph.aggregate(type, None, [Aggregate("all", "count")]))["all"]


@asynccontextmanager
async def graph_node(folder: Path, store: EventStore, settings: Neo4jSettings) -> AsyncIterator[GraphNode]:
    """`folder`: the node's own, by which it is known."""
    folder.mkdir(exist_ok=True)
    neo4j = Neo4jVersions(replace(settings, holder=folder.name), BUILTIN, store)
    stores: dict[str, Any] = {"neo4j": neo4j, "sqlite": SqliteVersions(folder, BUILTIN)}
    file = VersionFile(folder / "versions.json")
    graph, rebuilds = await open_projection(partial(GraphSwitch, "graph"), stores, file, store, "neo4j")
    target = PatientTarget(graph)
    loop = ProjectionLoop(store, target)
    tasks = [asyncio.create_task(one) for one in (loop.run(), target.keep_whole(loop))]
    try:
        await loop.wait_for(await store.last_sequence(), timeout=PATIENCE)
        yield GraphNode(graph, loop, rebuilds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await graph.close()


async def as_the_log(node: GraphNode, store: EventStore, folder: Path) -> bool:
    """Return True if the node's graph has all of the log, and nothing else."""
    again = await open_sqlite_graph(folder / "again.sqlite", BUILTIN)
    await refill(store, again, await store.last_sequence())
    try:
        return await again.dump() == await node.graph.dump()
    finally:
        await again.close()
