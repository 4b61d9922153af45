"""What all tests share: real nodes as subprocesses, Neo4j and the photographs. How they run is in `running.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.neo4j_server import Neo4jServer
from tests.node_process import NodeProcess

ROOT = Path(__file__).parent.parent


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node without apps, as its own process on a folder of its own, stopped at the end."""
    with NodeProcess(tmp_path / "node") as process:
        yield process


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    """One server for all tests that do not kill theirs."""
    server = Neo4jServer(tmp_path_factory.mktemp("neo4j"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def photos() -> Path:
    """The freely usable photographs that `just setup` lays down."""
    folder = ROOT / ".setup" / "photos"
    assert (folder / "astronaut.jpg").exists(), "run `just setup` first: it lays the tests' photographs down"
    return folder
