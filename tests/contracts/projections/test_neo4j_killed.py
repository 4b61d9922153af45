"""kill -9 of the folding process, and of the server, in the middle of a batch: afterwards the graph is as if nothing
had happened."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import pytest

from pcloud.errors import Unavailable
from projections.graph.away import PatientTarget
from projections.graph.model import ModelGraph
from projections.graph.neo4j import Neo4jGraph, Neo4jSettings, open_neo4j_graph, open_reconnecting
from projections.graph.switch import GraphSwitch
from tests.contracts.projections.folding_process import long_log
from tests.contracts.projections.shelf import BUILTIN, EPOCH, Log
from tests.neo4j_server import Neo4jServer

ROOT = Path(__file__).parents[3]
KILLS = 10


@asynccontextmanager
async def opened(settings: Neo4jSettings) -> AsyncIterator[Neo4jGraph]:
    graph = await open_neo4j_graph(settings, BUILTIN)
    try:
        yield graph
    finally:
        await graph.close()


async def same_as_ever(settings: Neo4jSettings, log: Log) -> None:
    """The graph, folded to the end, equals the model."""
    oracle = ModelGraph(BUILTIN)
    await oracle.apply(EPOCH, log.events)
    async with opened(settings) as graph:
        await graph.apply(EPOCH, log.events)
        assert await graph.dump() == await oracle.dump()


def fold_until(settings: Neo4jSettings, sequence: int) -> int:
    """Run the folding process, and kill it in the batch that begins after `sequence`; returns the last sequence that it
    reported as done."""
    command = [sys.executable, "-m", "tests.contracts.projections.neo4j_folding", settings.address]
    told = 0
    environment = {**os.environ, "PASSWORD": settings.password}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, number = line.partition(" ")
            if word == "done":
                told = int(number)
            elif word == "end" or int(number) > sequence:
                break
        process.kill()
    return told


async def test_killing_the_folding_process_leaves_no_half_batch(neo4j_settings: Neo4jSettings) -> None:
    log = long_log()
    settings = Neo4jSettings(neo4j_settings.address, password=neo4j_settings.password, holder="folding")
    async with opened(settings) as graph:
        await graph.clear()
    for kill in range(KILLS):
        told = fold_until(settings, len(log.events) * (kill + 1) // (KILLS + 2))
        async with opened(settings) as graph:
            at = graph.checkpoint.sequence
            assert at >= told
            expected = ModelGraph(BUILTIN)
            await expected.apply(EPOCH, log.events[:at])
            assert await graph.dump() == await expected.dump()
    await same_as_ever(settings, log)


@pytest.fixture
def server(tmp_path: Path) -> AsyncIterator[Neo4jServer]:
    """A server for this test alone."""
    server = Neo4jServer(tmp_path / "neo4j")
    server.start()
    yield server
    server.stop()


class Ends:
    """What a view reads of the log: its end."""

    epoch = EPOCH

    def __init__(self, last: int = 0) -> None:
        self._last = last

    async def last_sequence(self) -> int:
        return self._last


@dataclass
class Killing:
    """A server that is killed before a statement of a batch, and started again, while others fold."""

    server: Neo4jServer
    statements: int = 0
    kill_at: int = 0

    async def count(self) -> None:
        self.statements += 1
        if self.statements == self.kill_at:
            self.server.kill()
            await asyncio.to_thread(self.server.start)


killing: ContextVar[Killing] = ContextVar("killing")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param((1, 6), id="twice"),
        pytest.param(tuple(1 + kill % 7 for kill in range(KILLS)), id="at each", marks=pytest.mark.long),
    ],
)
async def test_killing_the_server_delays_the_fold_and_changes_nothing(
    server: Neo4jServer, statements: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before these statements of a batch: the view notices, waits for the server, and folds the batch then. A server takes 15 s of
    processor time to start."""
    from projections.graph.neo4j import writing

    run = writing.run

    async def run_or_kill(on, text, parameters=None):  # type: ignore[no-untyped-def]
        if (here := killing.get(None)) is not None:
            await here.count()
        return await run(on, text, parameters)

    monkeypatch.setattr(writing, "run", run_or_kill)
    await fold_through_kills(server, statements)


async def fold_through_kills(server: Neo4jServer, statements: tuple[int, ...]) -> None:
    log, here = long_log(), Killing(server)
    settings = Neo4jSettings(server.address, password=server.password, connect_seconds=10.0)
    reach = await open_reconnecting(settings, BUILTIN, Ends(len(log.events)))
    view = PatientTarget(GraphSwitch("graph", reach, "neo4j-1"))
    killing.set(here)
    size, start = len(log.events) // (len(statements) + 1), 0
    for statement in statements:
        end = next(at for at in range(start + size, len(log.events) + 1) if log.events[at - 1].ends_transaction)
        here.statements, here.kill_at = 0, statement
        await view.apply(EPOCH, log.events[start:end])
        assert here.statements > here.kill_at
        start = end
    await view.apply(EPOCH, log.events)
    await reach.close()
    await same_as_ever(settings, log)


async def test_a_silent_server_is_distinguished_from_a_slow_one(server: Neo4jServer) -> None:
    settings = Neo4jSettings(server.address, password=server.password, connect_seconds=1.0, longest_seconds=1.0)
    reach = await open_reconnecting(settings, BUILTIN, Ends())
    try:
        server.halt()
        with pytest.raises(Unavailable):
            await reach.check()
        await reach.until_lost()
        with pytest.raises(Unavailable, match="nothing is lost"):
            await reach.check()
        server.resume()
        await reach.until_reached()
        await reach.check()
    finally:
        await reach.close()
