"""The directory and the graph on a log, as a node has them, for tests that need no whole node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.graph.schema import builtin_catalog
from eventstore import EventStore
from projections.directory import Directory, open_directory
from projections.graph.away import PatientLoop
from projections.graph.routed import RoutedGraph
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.graph.switch import GraphSwitch
from projections.handed import HandedLog
from projections.loop import ProjectionLoop

__all__ = ["SmallViews", "open_small_views"]


@dataclass(frozen=True)
class SmallViews:
    """`graph`: the apps' types, folded by `folding`; `answers` and `loop`: what questions go to, and what waits for it."""

    directory: Directory
    directory_loop: ProjectionLoop[Any]
    graph: SqliteGraph
    folding: ProjectionLoop[Any]
    answers: RoutedGraph
    loop: PatientLoop


@asynccontextmanager
async def open_small_views(store: EventStore, path: Path) -> AsyncIterator[SmallViews]:
    """With all that the log has by now."""
    async with AsyncExitStack() as stack:
        directory = await open_directory(store, builtin_catalog())
        directory_loop: ProjectionLoop[Any] = ProjectionLoop(store, directory)
        graph = await open_sqlite_graph(path)
        stack.push_async_callback(graph.close)
        folding: ProjectionLoop[Any] = ProjectionLoop(HandedLog(store, directory_loop), graph, behind=directory_loop)
        tasks = [asyncio.create_task(one.run()) for one in (directory_loop, folding)]
        stack.push_async_callback(_end, tasks)
        switch = GraphSwitch("graph", graph, "sqlite-1")
        await folding.wait_for(await store.last_sequence())
        loop = PatientLoop(folding, switch, 0)
        yield SmallViews(directory, directory_loop, graph, folding, RoutedGraph(directory.graph, switch), loop)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
