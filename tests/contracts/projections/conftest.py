"""One fixture per port, over all of its adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projections.graph.model import ModelGraph
from projections.graph.port import GraphStore
from projections.graph.sqlite import open_sqlite_graph
from tests.contracts.projections.shelf import BUILTIN


@pytest.fixture(params=["model", "sqlite"])
async def graph(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GraphStore]:
    store = (
        ModelGraph(BUILTIN) if request.param == "model" else await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    )
    yield store
    await store.close()
