"""A process that keeps a node's views of a log, and rebuilds them again and again, to be killed at any moment.

It reports its position after each batch and at each step of a rebuild. It is forked from a process that has imported all
modules, so it starts fast, ten times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from core.graph.schema import builtin_catalog
from eventstore import ConnectionSettings, EventStore, open_store
from pcloud.errors import Conflict
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Progress, Rebuilds
from projections.search.switch import SearchSwitch
from projections.search.versions import TantivyVersions
from projections.versions import VersionFile
from tests.forked import FORKS

__all__ = ["Folded", "folding_process", "open_projections"]


@dataclass
class Folded:
    graph: GraphSwitch
    graph_loop: ProjectionLoop[Any]
    graph_rebuilds: Rebuilds
    search: SearchSwitch
    search_loop: ProjectionLoop[Any]
    search_rebuilds: Rebuilds


@asynccontextmanager
async def open_projections(folder: Path, store: EventStore) -> AsyncIterator[Folded]:
    """Open the views as a node does."""
    for part in ("graph", "search"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    graph, rebuilds = await open_projection(
        partial(GraphSwitch, "graph"), {"sqlite": SqliteVersions(folder / "graph", builtin_catalog())},
        VersionFile(folder / "graph" / "versions.json"), store, "sqlite",
    )  # fmt: skip
    search, search_rebuilds = await open_projection(
        partial(SearchSwitch, "search"), {"tantivy": TantivyVersions(folder / "search", graph)},
        VersionFile(folder / "search" / "versions.json"), store, "tantivy",
    )  # fmt: skip
    graph_loop = ProjectionLoop(store, graph)
    search_loop = ProjectionLoop(store, search, gather=0.05, behind=graph_loop)
    works = (graph_loop.run(), search_loop.run(), rebuilds.run(), search_rebuilds.run())
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield Folded(graph, graph_loop, rebuilds, search, search_loop, search_rebuilds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await search.close()
        await graph.close()


@contextmanager
def folding_process(folder: Path, settings: ConnectionSettings) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """The process, and its messages: ("folded", "indexed", "built" or "switched", a sequence). It is killed at the end of the block."""
    said, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_run, args=(folder, settings, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, said
    finally:
        process.kill()
        process.join()
        said.close()


def _run(folder: Path, settings: ConnectionSettings, said: Connection) -> None:
    asyncio.run(_view(folder, settings, lambda what, sequence: said.send((what, sequence))))


async def _view(folder: Path, settings: ConnectionSettings, say: Callable[[str, int], None]) -> None:
    async with open_store(settings) as store, open_projections(folder, store) as views:
        views.graph_loop.on_applied(lambda events: say("folded", events[-1].sequence))
        views.search_loop.on_applied(lambda events: say("indexed", events[-1].sequence))

        def built(progress: Progress) -> None:
            say("built", progress.sequence)

        await views.graph_loop.wait_for(1, timeout=None)
        while True:
            for rebuilds in (views.graph_rebuilds, views.search_rebuilds):
                with suppress(Conflict):  # the rebuild of the process before this one is being finished
                    await rebuilds.rebuild(tell=built)
                    say("switched", views.graph.checkpoint.sequence)
                await rebuilds.idle()
