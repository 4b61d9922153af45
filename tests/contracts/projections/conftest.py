"""One fixture per contract, over all of its adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pcloud.event import StoredEvent
from projections.graph.contract import GraphStore
from projections.graph.model import ModelGraph
from projections.graph.neo4j import Neo4jSettings, open_neo4j_graph
from projections.graph.sqlite import open_sqlite_graph
from projections.search.tantivy import TantivySearch, open_tantivy_search
from tests.contracts.projections.shelf import BUILTIN, EPOCH
from tests.neo4j_server import Neo4jServer

Fold = Callable[[list[StoredEvent]], Awaitable[None]]


@pytest.fixture(params=["model", "sqlite", "neo4j"])
async def graph(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GraphStore]:
    store: GraphStore
    match request.param:
        case "model":
            store = ModelGraph(BUILTIN)
        case "sqlite":
            store = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
        case _:
            settings: Neo4jSettings = request.getfixturevalue("neo4j_settings")
            store = await open_neo4j_graph(settings, BUILTIN)
            await store.clear()
    yield store
    await store.close()


@pytest.fixture
def neo4j_settings(neo4j_server: Neo4jServer) -> Neo4jSettings:
    """A server that all tests of a run share: each begins by clearing it."""
    return Neo4jSettings(neo4j_server.address, password=neo4j_server.password)


@pytest.fixture
def small_graph() -> ModelGraph:
    """The graph that the search index reads from: the model is enough."""
    return ModelGraph(BUILTIN)


@pytest.fixture
async def index(small_graph: ModelGraph, tmp_path: Path) -> AsyncIterator[TantivySearch]:
    opened = await open_tantivy_search(tmp_path / "search", small_graph)
    yield opened
    await opened.close()


@pytest.fixture
def fold(small_graph: ModelGraph, index: TantivySearch) -> Fold:
    """Fold into the graph, then into the index, as the loops do."""

    async def both(events: list[StoredEvent]) -> None:
        await small_graph.apply(EPOCH, events)
        await index.apply(EPOCH, events)

    return both
