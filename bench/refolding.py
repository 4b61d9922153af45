"""The cost of making each view again from one log: the graph on SQLite and on Neo4j, and the search index.

Rates are events of the log a second by the clock. Each view is made as in a rebuild: SQLite's file is filled and
indexed at the end, search reads the current graph. Nothing else runs meanwhile; `bench.rebuild` has clients beside it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.graph_servers import SCHEMA, fill_log
from bench.household import Household
from bench.processor_time import processor_seconds
from core.graph.schema import builtin_catalog, parse_schema
from core.node.garbage import collect_less
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from infra.neo4j_for_tests import LIBRARY
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.neo4j import Neo4jSettings, open_neo4j_graph
from projections.graph.sqlite import open_sqlite_graph
from projections.refill import refill
from projections.search.tantivy import open_tantivy_search
from tests.neo4j_server import Neo4jServer

__all__ = ["NO_NEO4J", "Stopwatch", "Timed", "fill", "open_log", "refold_neo4j", "refold_search", "refold_sqlite"]

# A long-running server, as in a home.
LONG_LIVED = ["-XX:+UseParallelGC", "-Xms1g", "-Xmx1g"]
LEASE_SECONDS = 60.0  # a rebuild's batches are large, and its machine is busy
NO_NEO4J = "Neo4j is not set up here: `python infra/set_up_tests.py` fetches it, with Debian's Java and Maven"


@dataclass(frozen=True, slots=True)
class Timed:
    """`processor`: seconds of this process and all below it: reading processes, nats-server, Neo4j."""

    events: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


@asynccontextmanager
async def open_log(folder: Path) -> AsyncIterator[EventStore]:
    collect_less()  # as a node does
    async with (
        open_server(ServerSettings(folder / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as store,
    ):
        yield store


async def fill(folder: Path, house: Household) -> int:
    """The app's schema and the household, written directly onto the log; returns its last sequence."""
    catalog = parse_schema("household", SCHEMA.read_text(), others=builtin_catalog())
    fields = {"name": "household", "version": "1", "state": "RUNNING", "catalog": catalog.to_json()}
    declared = Event(Ref("core", "App", "household"), Kind.CREATED, Change(set=fields))
    async with open_log(folder) as store:
        await store.append(Transaction(new_id().replace("-", ""), (declared,), "owner"))
        await fill_log(store, house)
        return await store.last_sequence()


async def refold_sqlite(folder: Path, path: Path) -> Timed:
    """Into the new file `path`."""
    async with open_log(folder) as store:
        view = await open_sqlite_graph(path, builtin_catalog())
        try:
            watch, last = Stopwatch(), await store.last_sequence()
            await view.begin_filling()
            await refill(store, view, last)
            await view.end_filling()
            return watch.stop(last)
        finally:
            await view.close()


async def refold_search(folder: Path, graph: Path, index: Path) -> Timed:
    """Into the new folder `index`, from the graph in the file `graph`."""
    async with open_log(folder) as store:
        view = await open_sqlite_graph(graph, builtin_catalog())
        try:
            search = await open_tantivy_search(index, view)
            try:
                watch, last = Stopwatch(), await store.last_sequence()
                await search.begin(store.epoch)
                await refill(store, search, last)
                return watch.stop(last)
            finally:
                await search.close()
        finally:
            await view.close()


async def refold_neo4j(folder: Path, room: Path) -> tuple[Timed, Timed] | None:
    """Into a server of its own in `room`: all of it, and its second half, for which the JVM has compiled what is hot.
    None if Neo4j is not set up."""
    if not (LIBRARY / "launcher.jar").exists():
        return None
    server = Neo4jServer(room, LONG_LIVED)
    server.start()
    try:
        async with open_log(folder) as store:
            settings = Neo4jSettings(server.address, password=server.password, lease_seconds=LEASE_SECONDS)
            view = await open_neo4j_graph(settings, builtin_catalog())
            try:
                watch, last = Stopwatch(), await store.last_sequence()
                halfway: list[tuple[int, Stopwatch]] = []

                def folded(_: int, at: int) -> None:
                    if at >= last // 2 and not halfway:
                        halfway.append((at, Stopwatch()))

                await refill(store, view, last, folded)
                ((at, later),) = halfway
                return watch.stop(last), later.stop(last - at)
            finally:
                await view.close()
    finally:
        server.stop()


class Stopwatch:
    def __init__(self) -> None:
        self._processor, self._began = processor_seconds([psutil.Process().pid]), time.perf_counter()

    def stop(self, events: int) -> Timed:
        seconds = time.perf_counter() - self._began
        return Timed(events, seconds, processor_seconds([psutil.Process().pid]) - self._processor)
