"""Where the graph is: in a file of this node's, or, with `--graph neo4j://…`, the apps' types on a server and core's own in a file.

embedded   one view has everything, and answers everything
on Neo4j   the server's view has everything; questions about core's types go to a view on this node that has only those
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from core.node.folder import DataFolder
from core.node.side_tasks import run_beside
from core.settings import GraphServer
from eventstore import EventStore
from pcloud.errors import PCloudError, Rejected
from projections.graph.catalog import Catalog
from projections.graph.port import GraphStore
from projections.graph.split import PatientTarget, SplitGraph, SplitLoop
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.opening import open_view
from projections.rebuild import Rebuilds
from projections.versions import VersionFile, VersionStore, kind_of

if TYPE_CHECKING:
    from projections.graph.neo4j import Neo4jSettings

__all__ = ["Graphs", "open_graphs"]

log = logging.getLogger("pcloud.node")
# Folding what was appended while this node was away may take long after a view was deleted.
CATCH_UP = 3600.0
AGAIN = 10.0  # seconds until a graph that could not be built is tried again


@dataclass(frozen=True, slots=True)
class Graphs:
    """`all`: the view that has everything. `answers`: what questions go to, with `loop`, which waits for it. `home`: what has core's own
    types. `apart`: `answers`, where the two are not one; then `home_rebuilds` are of `home`."""

    all: GraphSwitch
    all_loop: ProjectionLoop[Any]
    rebuilds: Rebuilds
    answers: GraphStore
    loop: Any
    home: GraphSwitch
    home_loop: ProjectionLoop[Any]
    apart: SplitGraph | None = None
    home_rebuilds: Rebuilds | None = None

    @property
    def problem(self) -> str:
        """Why the apps' types can't be asked now; '' when they can."""
        return self.loop.problem if isinstance(self.loop, SplitLoop) else ""


async def open_graphs(
    stack: AsyncExitStack, group: asyncio.TaskGroup, folder: DataFolder, store: EventStore, builtin: Catalog, server: GraphServer | None
) -> Graphs:  # fmt: skip
    """Open them, and fold what they have missed; a server that does not answer is not waited for."""
    place = folder.graph.parent
    stores: dict[str, VersionStore[Any]] = {"sqlite": SqliteVersions(place, builtin)}
    if server is not None:
        from projections.graph.neo4j import Neo4jVersions  # its driver takes a quarter of a node's start

        stores["neo4j"] = Neo4jVersions(neo4j_settings(folder, store, server), builtin, store)
    kind = "sqlite" if server is None else "neo4j"
    graph, rebuilds = await open_view(
        partial(GraphSwitch, "graph"), stores, VersionFile(place / "versions.json"), store, kind, folder.room
    )
    stack.push_async_callback(graph.close)
    target = PatientTarget(graph)
    loop = ProjectionLoop(store, target)
    run_beside(stack, group, "graph", fold_when_there(target, loop))
    if server is not None:
        run_beside(stack, group, "watch of graph", target.keep_whole(loop))
    if server is None:
        await loop.wait_for(await store.last_sequence(), timeout=CATCH_UP)
        graphs = Graphs(graph, loop, rebuilds, graph, loop, graph, loop)
    else:
        graphs = await open_apart(stack, group, folder, store, builtin, graph, loop, rebuilds)
    run_beside(stack, group, "rebuilds of graph", keep_rebuilt(rebuilds, kind))
    return graphs


async def open_apart(
    stack: AsyncExitStack, group: asyncio.TaskGroup, folder: DataFolder, store: EventStore, builtin: Catalog,
    graph: GraphSwitch, loop: ProjectionLoop[Any], rebuilds: Rebuilds,
) -> Graphs:  # fmt: skip
    from projections.graph.neo4j import Neo4jReach

    place = folder.graph.parent / "core"
    place.mkdir(exist_ok=True, mode=0o700)
    home, home_rebuilds = await open_view(
        partial(GraphSwitch, "core"), {"sqlite": SqliteVersions(place, builtin, only="core")},
        VersionFile(place / "versions.json"), store, "sqlite", folder.room,
    )  # fmt: skip
    stack.push_async_callback(home.close)
    home_loop = ProjectionLoop(store, home)
    run_beside(stack, group, "core's graph", home_loop.run())
    run_beside(stack, group, "rebuilds of core's graph", home_rebuilds.run())
    last = await store.last_sequence()
    await home_loop.wait_for(last, timeout=CATCH_UP)
    if not isinstance(graph.view, Neo4jReach) or graph.view.connected:
        await loop.wait_for(last, timeout=CATCH_UP)
    both = SplitLoop(home_loop, loop, graph)
    split = SplitGraph(home, graph, both)
    return Graphs(graph, loop, rebuilds, split, both, home, home_loop, split, home_rebuilds)


def neo4j_settings(folder: DataFolder, store: EventStore, server: GraphServer) -> Neo4jSettings:
    """The node keeps its name over restarts, so that it goes on folding without waiting for its own lease; the graph belongs to the
    cloud, whatever log that has."""
    from projections.graph.neo4j import Neo4jSettings, parse_address

    address, user = parse_address(server.address)
    owner = hashlib.sha256(b"pcloud graph " + store.id_key).hexdigest()[:32]
    holder = hashlib.sha256(b"holder " + folder.key("graph-holder.key")).hexdigest()[:32]
    return Neo4jSettings(address, user, server.password, owner=owner, holder=holder)


async def fold_when_there(target: PatientTarget, loop: ProjectionLoop[Any]) -> None:
    await target.until_there()
    await loop.run()


async def keep_rebuilt(rebuilds: Rebuilds, kind: str) -> None:
    """Bring the graph into the store that was asked for, beside the one that answers until then; a server that is away is waited for."""
    while kind_of(rebuilds.chosen.current) != kind:
        log.warning("the graph is in %s, and is built in %s now", kind_of(rebuilds.chosen.current), kind)
        try:
            await rebuilds.rebuild(kind)
        except Rejected:
            raise
        except PCloudError as error:
            log.error("the graph could not be built in %s: %s; trying again", kind, error.message)
            await asyncio.sleep(AGAIN)
    await rebuilds.run()
