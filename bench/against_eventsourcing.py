"""Appending events and folding them again, against pyeventsourcing on SQLite and on PostgreSQL: the same images, the
same durability.

Every append waits for the disk. PCloud has 64 writers, its peer 16 on PostgreSQL and one on SQLite, which has one
writer. A rebuild reads the log from its beginning into an empty table; both commit what they folded together with their
position.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from bench.figures import Figure
from bench.household import Household, image
from bench.peers.postgres import Postgres, open_postgres
from bench.peers.setup import set_up_eventsourcing
from bench.processor_time import processor_seconds
from bench.refolding import Stopwatch, Timed, fill, open_log, refold_neo4j, refold_search, refold_sqlite
from eventstore import EventStore, Transaction
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id

__all__ = ["measure_against_eventsourcing"]

WRITERS = 64
THEIR_WRITERS = {"sqlite": 1, "postgres": 16}
MEASURE = Path(__file__).parent / "peers" / "eventsourcing" / "measure.py"


def measure_against_eventsourcing(
    appends: int, house: Household, rounds: int, *, neo4j: bool
) -> tuple[list[Figure], dict[str, float]]:
    """Figures, and the ratios `append` and `rebuild` against the faster of the peer's two stores."""
    python = set_up_eventsourcing()
    rates: dict[str, list[float]] = {}
    chance = random.Random(11)
    rows = [image(number, chance) for number in range(appends)]
    with open_postgres() as server, tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        filled = Path(folder)
        uvloop.run(fill(filled, house))
        for number in range(rounds):
            for name, found in (ours(rows, filled, number) | theirs(python, rows, server)).items():
                rates.setdefault(name, []).append(found)
        on_neo4j = uvloop.run(refold_neo4j(filled, filled / "neo4j")) if neo4j else None
    search = Figure("rebuild of search", "events/s", tuple(rates.pop("search")), 20_000, least=True)
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
    sqlite = tuple(rates["rebuild, PCloud"])
    figures.append(Figure("rebuild of the graph on SQLite", "events/s", sqlite, 25_000, least=True))
    for said, timed in zip(("", ", its later half"), on_neo4j or (None, None), strict=True):
        taken, bound = (timed.rate,) if timed else (), None if said else 10_000
        figures.append(Figure(f"rebuild of the graph on Neo4j{said}", "events/s", taken, bound, least=True))
    return [*figures, search], ratios


def unit_of(name: str) -> str:
    return "events/cpu-s" if "processor" in name else "events/s"


# --- PCloud ------------------------------------------------------------------------------------------------------------------------


def ours(rows: list[dict[str, Any]], filled: Path, number: int) -> dict[str, float]:
    """Appends to a log of their own; rebuilds from the log in `filled`."""
    graph = filled / f"graph{number}.db"
    append = uvloop.run(timed_appends(rows))
    rebuild = uvloop.run(refold_sqlite(filled, graph))
    search = uvloop.run(refold_search(filled, graph, filled / f"search{number}"))
    graph.unlink()
    return {
        "append, PCloud": append.rate, "append per processor second, PCloud": append.events / append.processor,
        "rebuild, PCloud": rebuild.rate, "rebuild per processor second, PCloud": rebuild.events / rebuild.processor,
        "search": search.rate,
    }  # fmt: skip


async def timed_appends(rows: list[dict[str, Any]]) -> Timed:
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        async with open_log(Path(folder)) as store:
            watch = Stopwatch()
            await append_all(store, rows)
            return watch.stop(len(rows))


async def append_all(store: EventStore, rows: list[dict[str, Any]]) -> None:
    waiting = iter(rows)

    async def write() -> None:
        for row in waiting:
            made = Event(Ref("house", "Image", new_id()), Kind.CREATED, Change(set=row))
            await store.append(Transaction(new_id().replace("-", ""), (made,), "owner"))

    await asyncio.gather(*(write() for _ in range(WRITERS)))


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
