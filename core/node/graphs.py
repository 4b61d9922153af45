"""Where the apps' part of the graph is stored: in a file of this node, or, with `--graph neo4j://…`, on a server. In both cases core's own
types are in the directory."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from core.node.folder import DataFolder
from core.node.side_tasks import run_beside
from core.settings import GraphServer
from eventstore import EventStore
from pcloud.errors import PCloudError, Rejected
from projections.directory import Directory
from projections.graph.away import PatientLoop, PatientTarget
from projections.graph.catalog import NO_TYPES
from projections.graph.routed import RoutedGraph
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.handed import HandedLog
from projections.loop import ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Rebuilds
from projections.versions import VersionFile, VersionStore, kind_of

if TYPE_CHECKING:
    from projections.graph.neo4j import Neo4jSettings

__all__ = ["Graphs", "open_graphs"]

log = logging.getLogger("pcloud.node")
# After a projection was deleted, folding what it has missed may take long.
CATCH_UP = 3600.0
AGAIN = 10.0  # seconds until a graph that could not be built is tried again


@dataclass(frozen=True, slots=True)
class Graphs:
    """`switch`: the projection of the apps' types, folded by `folding`. `answers`: the graph that answers queries about any type; `loop`
    waits for it."""

    switch: GraphSwitch
    folding: ProjectionLoop[Any]
    rebuilds: Rebuilds
    answers: RoutedGraph
    loop: PatientLoop

    @property
    def problem(self) -> str:
        """Why the apps' types can't be queried now; '' if they can."""
        return self.loop.problem


async def open_graphs(
    stack: AsyncExitStack, group: asyncio.TaskGroup, folder: DataFolder, store: EventStore, directory: Directory,
    directory_loop: ProjectionLoop[Any], server: GraphServer | None,
) -> Graphs:  # fmt: skip
    """Open the projection, and fold what it has missed; do not wait for a server that does not answer."""
    place = folder.graph.parent
    shutil.rmtree(place / "core", ignore_errors=True)  # the former place of core's own types
    stores: dict[str, VersionStore[Any]] = {"sqlite": SqliteVersions(place)}
    if server is not None:
        from projections.graph.neo4j import Neo4jVersions  # importing its driver takes a quarter of a node's start

        stores["neo4j"] = Neo4jVersions(neo4j_settings(folder, store, server), NO_TYPES, store)
    kind = "sqlite" if server is None else "neo4j"
    graph, rebuilds = await open_projection(
        partial(GraphSwitch, "graph"), stores, VersionFile(place / "versions.json"), store, kind, folder.disk_space
    )
    stack.push_async_callback(graph.close)
    target = PatientTarget(graph)
    # Fed with what the directory has folded, so that the log is read once, and permissions are never older than the shown data.
    folding = ProjectionLoop(HandedLog(store, directory_loop), target, behind=directory_loop)
    run_beside(stack, group, "graph", fold_when_there(target, folding))
    last = await store.last_sequence()
    if server is None:
        await folding.wait_for(last, timeout=CATCH_UP)
    else:
        run_beside(stack, group, "watch of graph", target.keep_whole(folding))
        if getattr(graph.in_use, "connected", True):
            await folding.wait_for(last, timeout=CATCH_UP)
    run_beside(stack, group, "rebuilds of graph", keep_rebuilt(rebuilds, kind))
    return Graphs(graph, folding, rebuilds, RoutedGraph(directory.graph, graph), PatientLoop(folding, graph, last))


def neo4j_settings(folder: DataFolder, store: EventStore, server: GraphServer) -> Neo4jSettings:
    """The node keeps its name over restarts, so that it continues to fold without waiting for its own lease; the graph belongs to the
    cloud, on any log."""
    from projections.graph.neo4j import Neo4jSettings, parse_address

    address, user = parse_address(server.address)
    owner = hashlib.sha256(b"pcloud graph " + store.id_key).hexdigest()[:32]
    holder = hashlib.sha256(b"holder " + folder.key("graph-holder.key")).hexdigest()[:32]
    return Neo4jSettings(address, user, server.password, owner=owner, holder=holder)


async def fold_when_there(target: PatientTarget, loop: ProjectionLoop[Any]) -> None:
    await target.until_there()
    await loop.run()


async def keep_rebuilt(rebuilds: Rebuilds, kind: str) -> None:
    """Build the graph in the chosen store, beside the one that answers until then; wait while a server is down."""
    while kind_of(rebuilds.chosen.current) != kind:
        log.warning("the graph is in %s, and is being built in %s", kind_of(rebuilds.chosen.current), kind)
        try:
            await rebuilds.rebuild(kind)
        except Rejected:
            raise
        except PCloudError as error:
            log.error("the graph could not be built in %s: %s; trying again", kind, error.message)
            await asyncio.sleep(AGAIN)
    await rebuilds.run()
