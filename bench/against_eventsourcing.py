"""Appending events and folding them anew, against pyeventsourcing on SQLite and on PostgreSQL: the same images, the same durability.

Every append waits for the disk. PCloud's has 64 writers, as its peers on PostgreSQL have 16 and on SQLite, which has one writer, one. A
rebuild reads the log from its beginning into an empty table; both commit what they folded together with where they stand.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure
from bench.graph_servers import SCHEMA, fill_log
from bench.household import Household, image
from bench.peers.postgres import Postgres, open_postgres
from bench.peers.setup import set_up_eventsourcing
from bench.processor_time import processor_seconds
from core.schema import builtin_catalog, parse_schema
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.sqlite import open_sqlite_graph
from projections.refill import refill

__all__ = ["measure_against_eventsourcing"]

WRITERS = 64
THEIR_WRITERS = {"sqlite": 1, "postgres": 16}
MEASURE = Path(__file__).parent / "peers" / "eventsourcing" / "measure.py"


def measure_against_eventsourcing(appends: int, house: Household, rounds: int) -> tuple[list[Figure], dict[str, float]]:
    """Figures, and the ratios `append` and `rebuild` against the faster of the peer's two stores."""
    python = set_up_eventsourcing()
    rates: dict[str, list[float]] = {}
    chance = random.Random(11)
    rows = [image(number, chance) for number in range(appends)]
    with open_postgres() as server:
        for _ in range(rounds):
            for name, found in (asyncio.run(ours(rows, house)) | theirs(python, rows, server)).items():
                rates.setdefault(name, []).append(found)
    figures = [Figure(name, unit_of(name), tuple(values)) for name, values in rates.items()]
    ratios: dict[str, float] = {}
    for kind, bound in (("append", 3.0), ("rebuild", 6.0)):
        best = [
            max(rates[f"{kind}, pyeventsourcing on {store}"][at] for store in THEIR_WRITERS) for at in range(rounds)
        ]
        each = tuple(our / their for our, their in zip(rates[f"{kind}, PCloud"], best, strict=True))
        figure = Figure(f"{kind}: PCloud ÷ pyeventsourcing", "×", each, bound, least=True)
        figures.append(figure)
        ratios[kind] = figure.median
    figures.append(
        Figure("rebuild of the graph on SQLite", "events/s", tuple(rates["rebuild, PCloud"]), 25_000, least=True)
    )
    return figures, ratios


def unit_of(name: str) -> str:
    return "events/cpu-s" if "processor" in name else "events/s"


# --- PCloud ------------------------------------------------------------------------------------------------------------------------


async def ours(rows: list[dict[str, Any]], house: Household) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        async with (
            open_server(ServerSettings(Path(folder) / "nats")) as server,
            open_store(ConnectionSettings(server.url, server.core)) as store,
        ):
            pids = [psutil.Process().pid]
            before, began = processor_seconds(pids), time.perf_counter()
            await append_all(store, rows)
            append, append_used = time.perf_counter() - began, processor_seconds(pids) - before
            await declare_and_fill(store, house)
            last = await store.last_sequence()
            view = await open_sqlite_graph(Path(folder) / "graph.db", builtin_catalog())
            try:
                before, began = processor_seconds(pids), time.perf_counter()
                await view.begin_filling()
                await refill(store, view, last)
                await view.end_filling()
                rebuild, rebuild_used = time.perf_counter() - began, processor_seconds(pids) - before
            finally:
                await view.close()
    return {
        "append, PCloud": len(rows) / append, "append per processor second, PCloud": len(rows) / append_used,
        "rebuild, PCloud": last / rebuild, "rebuild per processor second, PCloud": last / rebuild_used,
    }  # fmt: skip


async def append_all(store: EventStore, rows: list[dict[str, Any]]) -> None:
    waiting = iter(rows)

    async def write() -> None:
        for row in waiting:
            made = Event(Ref("house", "Image", new_id()), Kind.CREATED, Change(set=row))
            await store.append(Transaction(new_id().replace("-", ""), (made,), "owner"))

    await asyncio.gather(*(write() for _ in range(WRITERS)))


async def declare_and_fill(store: EventStore, house: Household) -> None:
    catalog = parse_schema("household", SCHEMA.read_text(), others=builtin_catalog())
    fields = {"name": "household", "version": "1", "state": "RUNNING", "catalog": catalog.to_json()}
    declared = Event(Ref("core", "App", "household"), Kind.CREATED, Change(set=fields))
    await store.append(Transaction(new_id().replace("-", ""), (declared,), "owner"))
    await fill_log(store, house)


# --- pyeventsourcing ---------------------------------------------------------------------------------------------------------------


def theirs(python: Path, rows: list[dict[str, Any]], server: Postgres) -> dict[str, float]:
    rates: dict[str, float] = {}
    for store, writers in THEIR_WRITERS.items():
        with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
            given = {"store": store, "writers": writers, **environments(store, Path(folder), server)}
            before = processor_seconds([server.pid])
            ran = subprocess.run(
                [python, MEASURE, json.dumps(given)],
                input=json.dumps(rows),
                text=True,
                check=True,
                stdout=subprocess.PIPE,
            )
        found = json.loads(ran.stdout)
        share = (processor_seconds([server.pid]) - before) / 2 if store == "postgres" else 0.0
        for kind, mine, count in (("append", "append", found["events"]), ("rebuild", "project", found["projected"])):
            wall, processor = found[mine]
            rates[f"{kind}, pyeventsourcing on {store}"] = count / wall
            rates[f"{kind} per processor second, pyeventsourcing on {store}"] = count / (processor + share)
    return rates


def environments(store: str, folder: Path, server: Postgres) -> dict[str, Mapping[str, str]]:
    if store == "sqlite":
        module = {"PERSISTENCE_MODULE": "eventsourcing.sqlite"}
        return {
            "environment": {**module, "SQLITE_DBNAME": str(folder / "log.db")},
            "projection": {**module, "SQLITE_DBNAME": str(folder / "view.db")},
        }
    server.psql("-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    given = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": "postgres", "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(server.port), "POSTGRES_USER": server.user, "POSTGRES_PASSWORD": "none", "POSTGRES_POOL_SIZE": "16",
    }  # fmt: skip
    return {"environment": given, "projection": given}
