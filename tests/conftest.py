"""What all tests share: real nodes as subprocesses, and the rule that under CI nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.neo4j_server import Neo4jServer
from tests.node_process import NodeProcess

ROOT = Path(__file__).parent.parent
# Containers often have Python compile everything anew each time it starts; a node takes twice as long then, and tests start many.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Under CI a skipped test is a failed one: what can't run there is not tested."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


class ByFile(LoadScopeScheduling):
    """A file's tests run in one process, in order, as they share what they set up; all of Neo4j's in the one that has the server."""

    def _split_scope(self, nodeid: str) -> str:
        return "neo4j" if "neo4j" in nodeid else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False  # the order of `testpaths` is meant
    return ByFile(config, log)


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
