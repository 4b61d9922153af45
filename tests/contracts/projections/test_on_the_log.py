"""The views on the real log: appended events are folded, by several loops at once, and again from the start."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref
from projections.graph.contract import Select
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.loop import ProjectionLoop
from projections.runs import Run, RunLog, encode_run, open_runs
from projections.search.contract import SearchQuery
from projections.search.tantivy import open_tantivy_search
from tests.contracts.projections.shelf import BOOK, BUILTIN, SHELF


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as opened,
    ):
        yield opened


@asynccontextmanager
async def running(*loops: ProjectionLoop[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def transaction(*events: Event) -> Transaction:
    return Transaction(
        uuid.uuid4().hex, events, "owner", request="r", result={"add": [event.ref.id for event in events]}
    )


def book(id: str, **fields: Any) -> Event:
    return Event(Ref("shelf", "Book", id), Kind.CREATED, Change(set=fields))


def install_shelf() -> Transaction:
    return transaction(Event(Ref("core", "App", "shelf"), Kind.CREATED, Change(set={"catalog": SHELF.to_json()})))


async def fold_again(store: EventStore, path: Path, last: int) -> SqliteGraph:
    graph = await open_sqlite_graph(path, BUILTIN)
    loop = ProjectionLoop(store, graph)
    async with running(loop):
        await loop.wait_for(last)
    return graph


async def test_appended_events_are_seen_by_all_views(store: EventStore, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
        stack.push_async_callback(graph.close)
        search = await open_tantivy_search(tmp_path / "search", graph)
        stack.push_async_callback(search.close)
        runs = await open_runs(tmp_path / "runs.sqlite")
        stack.push_async_callback(runs.close)
        graph_loop = ProjectionLoop(store, graph)
        search_loop = ProjectionLoop(store, search, gather=0.2, behind=graph_loop)
        runs_loop = ProjectionLoop(RunLog(store), runs)
        await stack.enter_async_context(running(graph_loop, search_loop, runs_loop))

        await store.append(install_shelf())
        tx = transaction(book("a", title="The sea"), book("b", title="The hill"))
        last = (await store.append(tx)).revision.sequence
        await graph_loop.wait_for(last)
        assert await graph.fetch(Select(BOOK, ("title",))) == [{"title": "The sea"}, {"title": "The hill"}]
        known = await graph.transaction(tx.tx)
        assert known is not None
        assert (known.request, known.result, known.revision.sequence) == ("r", {"add": ["a", "b"]}, last)
        await search_loop.wait_for(last)
        assert (await search.search(SearchQuery("sea", {BOOK: frozenset({"title"})}))).total == 1

        run = Run(id=uuid.uuid4().hex, app="faces", action="detect", state="DONE")
        await store.runs.put(run.app, run.action, run.id, encode_run(run), None)
        await runs_loop.wait_for(await store.runs.last_sequence())
        assert await runs.get(run.id) == run

        again = await fold_again(store, tmp_path / "again.sqlite", last)
        stack.push_async_callback(again.close)
        assert await again.dump() == await graph.dump()
        assert again.checkpoint.hash != 0


async def test_a_view_that_missed_much_catches_up(store: EventStore, tmp_path: Path) -> None:
    await store.append(install_shelf())
    for start in range(0, 3000, 500):
        await store.append(transaction(*(book(f"b{number}", pages=number) for number in range(start, start + 500))))
    last = await store.last_sequence()
    graph = await fold_again(store, tmp_path / "graph.sqlite", last)
    assert len(await graph.fetch(Select(BOOK, ("id",)))) == 3000
    await graph.close()
