"""The projections of one node, each with the loop that folds the log into it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.graph.schema import builtin_catalog
from core.node.folder import DataFolder
from core.node.graphs import Graphs, open_graphs
from core.node.side_tasks import run_beside
from core.settings import GraphServer
from eventstore import EventStore
from pcloud.errors import Unavailable
from projections.directory import Directory, open_directory
from projections.graph.contract import GraphReader
from projections.handed import HandedLog
from projections.loop import AGAIN, ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Rebuilds
from projections.runs import RunLog, RunsProjection, open_runs_on
from projections.search.switch import SearchSwitch
from projections.search.versions import TantivyVersions
from projections.versions import VersionFile
from projections.written import Written, open_written

__all__ = ["Projections", "open_projections"]

log = logging.getLogger("pcloud.view")

# Search commits are expensive: wait this long for more events, and longer while they come, unless a request waits for the projection.
SEARCH_GATHER = 0.2
# Many runs end at a time, and no request waits for their projection.
RUNS_GATHER = 0.1


@dataclass(frozen=True, slots=True)
class Projections:
    """The projections with the loops that keep them up to date."""

    directory: Directory
    directory_loop: ProjectionLoop[Any]
    graphs: Graphs
    search: SearchSwitch
    search_rebuilds: Rebuilds
    search_loop: ProjectionLoop[Any]
    runs: RunsProjection
    runs_loop: ProjectionLoop[Any]
    written: Written

    @property
    def rebuilds(self) -> dict[str, Rebuilds]:
        """By its name, each projection that can be rebuilt beside the one in use."""
        return {"graph": self.graphs.rebuilds, "search": self.search_rebuilds}

    @property
    def graph(self) -> GraphReader:
        """The graph that answers queries about any type."""
        return self.graphs.answers

    @property
    def graph_loop(self) -> ProjectionLoop[Any]:
        """The loop that folds the apps' types."""
        return self.graphs.folding


async def open_projections(
    stack: AsyncExitStack,
    group: asyncio.TaskGroup,
    folder: DataFolder,
    store: EventStore,
    server: GraphServer | None = None,
) -> Projections:
    """Open the projections and fold what they have missed."""
    directory = await open_directory(store, builtin_catalog(), folder.directory)
    stack.push_async_callback(directory.save, always=True)
    directory_loop: ProjectionLoop[Any] = ProjectionLoop(store, directory)
    run_beside(stack, group, "directory", directory_loop.run())
    run_beside(stack, group, "directory's snapshot", directory.keep_saved())
    graphs = await open_graphs(stack, group, folder, store, directory, directory_loop, server)
    search, search_rebuilds = await open_projection(
        partial(SearchSwitch, "search"), {"tantivy": TantivyVersions(folder.search, graphs.answers)},
        VersionFile(folder.search / "versions.json"), store, "tantivy", folder.disk_space,
    )  # fmt: skip
    stack.push_async_callback(search.close)
    runs_log = RunLog(store)
    runs = await open_runs_on(folder.runs, runs_log)
    stack.push_async_callback(runs.close)
    handed = HandedLog(store, graphs.folding)
    search_loop = ProjectionLoop(handed, search, gather=SEARCH_GATHER, behind=graphs.folding)
    written = await open_written(folder.written, store)
    stack.push_async_callback(written.save)
    run_beside(stack, group, "written", ProjectionLoop(HandedLog(store, graphs.folding), written).run())
    runs_loop = ProjectionLoop(runs_log, runs, gather=RUNS_GATHER)
    run_beside(stack, group, "runs", runs_loop.run())
    run_beside(stack, group, "search", keep_search(store, search, search_loop))
    run_beside(stack, group, "rebuilds of search", search_rebuilds.run())
    return Projections(
        directory, directory_loop, graphs, search, search_rebuilds, search_loop, runs, runs_loop, written
    )


async def keep_search(store: EventStore, search: SearchSwitch, loop: ProjectionLoop[Any]) -> None:
    """Fill a new index with the contents of the graph first, as soon as it can be stored, and then only with new events of the
    log."""
    while True:
        try:
            await search.in_use.begin(store.epoch)
            break
        except Unavailable as error:
            log.warning("the search index is filled when this is over: %s", error.message)
            await asyncio.sleep(AGAIN)
    await loop.run()
