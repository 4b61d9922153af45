"""One fixture per port, over all of its adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pcloud.event import StoredEvent
from projections.graph.model import ModelGraph
from projections.graph.port import GraphStore
from projections.graph.sqlite import open_sqlite_graph
from projections.search.tantivy import TantivySearch, open_tantivy_search
from tests.contracts.projections.shelf import BUILTIN, EPOCH

Fold = Callable[[list[StoredEvent]], Awaitable[None]]


@pytest.fixture(params=["model", "sqlite"])
async def graph(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GraphStore]:
    store = (
        ModelGraph(BUILTIN) if request.param == "model" else await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    )
    yield store
    await store.close()


@pytest.fixture
def small_graph() -> ModelGraph:
    """What the search index reads from: the model does."""
    return ModelGraph(BUILTIN)


@pytest.fixture
async def index(small_graph: ModelGraph, tmp_path: Path) -> AsyncIterator[TantivySearch]:
    opened = await open_tantivy_search(tmp_path / "search", small_graph)
    yield opened
    await opened.close()


@pytest.fixture
def fold(small_graph: ModelGraph, index: TantivySearch) -> Fold:
    """Into the graph, then into the index, as the loops do."""

    async def both(events: list[StoredEvent]) -> None:
        await small_graph.apply(EPOCH, events)
        await index.apply(EPOCH, events)

    return both
