"""The fold is deterministic: for any cuts of the log, and with repeated events, each store ends equal to the model."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.graph.contract import Select
from projections.graph.model import ModelGraph
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH, Log
from tests.unit.projections.logs import cuts, filters, libraries, logs, selects


@asynccontextmanager
async def sqlite() -> AsyncIterator[SqliteGraph]:
    with tempfile.TemporaryDirectory() as folder:
        graph = await open_sqlite_graph(Path(folder) / "graph.sqlite", BUILTIN)
        try:
            yield graph
        finally:
            await graph.close()


async def model(log: Log) -> ModelGraph:
    graph = ModelGraph(BUILTIN)
    await graph.apply(EPOCH, log.events)
    return graph


@settings(max_examples=80)
@given(st.data())
def test_any_split_at_transaction_ends_folds_alike(data: st.DataObject) -> None:
    log = data.draw(logs())
    ends = data.draw(cuts(log))

    async def run() -> None:
        expected = await (await model(log)).dump()
        async with sqlite() as graph:
            start = 0
            for end in ends:
                await graph.apply(EPOCH, log.events[start:end])
                start = end
            assert await graph.dump() == expected

    asyncio.run(run())


@settings(max_examples=25)
@given(st.data())
def test_repeated_delivery_changes_nothing(data: st.DataObject) -> None:
    log = data.draw(logs())
    ends = [0, *data.draw(cuts(log))]

    async def run() -> None:
        expected = await (await model(log)).dump()
        async with sqlite() as graph:
            for end in ends[1:]:
                again = data.draw(st.sampled_from([at for at in ends if at < end]))
                await graph.apply(EPOCH, log.events[again:end])
            assert await graph.dump() == expected

    asyncio.run(run())


@settings(max_examples=20)
@given(st.data())
def test_reopened_store_continues_where_it_was(data: st.DataObject) -> None:
    log = data.draw(logs())
    ends = data.draw(cuts(log))

    async def run() -> None:
        expected = await (await model(log)).dump()
        with tempfile.TemporaryDirectory() as folder:
            found: Mapping[str, Any] = {}
            for end in ends:
                graph = await open_sqlite_graph(Path(folder) / "graph.sqlite", BUILTIN)
                await graph.apply(EPOCH, log.events[:end])
                found = await graph.dump()
                await graph.close()
            assert found == expected

    asyncio.run(run())


@settings(max_examples=80)
@given(libraries(), st.lists(selects(), min_size=3, max_size=8), st.data())
def test_every_question_is_answered_as_the_model_does(log: Log, questions: list[Select], data: st.DataObject) -> None:
    ends = (
        [event.sequence for event in log.events if event.ends_transaction]
        if data.draw(st.booleans())
        else [len(log.events)]
    )

    async def run() -> None:
        oracle = await model(log)
        async with sqlite() as graph:
            for end in ends:
                await graph.apply(EPOCH, log.events[:end])
            for question in questions:
                assert await graph.fetch(question) == await oracle.fetch(question)
                assert await pages(graph, question) == await pages(oracle, question)
            for _ in range(5):
                books = Select(BOOK, ("id",), filter=data.draw(filters(BOOK)))
                assert await graph.fetch(books) == await oracle.fetch(books)

    asyncio.run(run())


async def pages(graph: ModelGraph | SqliteGraph, select: Select) -> list[str]:
    """Return all ids, page after page."""
    question = replace(select, first=2, offset=0, cursor=True, children=())
    found: list[str] = []
    while rows := await graph.fetch(question):
        found += [row["id"] for row in rows]
        question = replace(question, after=rows[-1]["_cursor"])
    whole = await graph.fetch(Select(BOOK, ("id",), filter=select.filter, order=select.order))
    assert found == [row["id"] for row in whole]
    return found
