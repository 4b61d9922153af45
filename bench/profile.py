"""Where the time of one request goes: the API in this process, a real log and graph behind it, under Python's profiler.

The profiler makes small functions look more expensive than they are: compare the shares of one run, not these times
with others.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench.graph_servers import OUR_CREATE, OUR_GET, OUR_NESTED, SCHEMA, chosen, fill_log
from bench.household import SMALL
from core.access.caller import Caller
from tests.integration.api.conftest import Cloud, open_cloud

__all__ = ["print_profile"]

OWNER = Caller("person", "owner")
REQUESTS = {"get": 2_000, "nested": 200, "create": 1_000}
AT_ONCE = {"get": 1, "nested": 1, "create": 64}
# The first match counts.
PARTS = (
    ("graph view: SQLite", ("sqlite3.", "projections/graph/sqlite")),
    ("graph view: fold", ("projections/",)),
    ("log", ("eventstore/", "nats/", "pcloud/event", "pcloud/subject")),
    ("search view", ("tantivy",)),
    ("commands", ("core/graph/command",)),
    (
        "schema and plan",
        (
            "core/graph/schema",
            "core/graph/api/selection",
            "core/graph/api/binder",
            "core/graph/api/operation",
            "core/graph/api/document",
        ),
    ),
    ("GraphQL library", ("graphql/",)),
    ("API", ("core/graph/api",)),
    ("JSON", ("orjson", "msgspec", "json")),
    ("event loop", ("asyncio", "selectors", "select.", "uvloop")),
)


def print_profile(show: int = 12) -> None:
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        profiles = asyncio.run(measure(Path(folder)))
    for kind, (profile, seconds) in profiles.items():
        stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        count = REQUESTS[kind]
        table = Table(
            f"{kind}: {1e6 * seconds / count:,.0f} µs each without the profiler", "µs with it", "share", box=None
        )
        spent: dict[str, float] = defaultdict(float)
        for (file, _, function), (_, _, own, _, _) in stats.items():
            spent[part_of(f"{file}:{function}")] += own
        total = sum(spent.values())
        for part, own in sorted(spent.items(), key=lambda item: -item[1]):
            table.add_row(part, f"{1e6 * own / count:,.1f}", f"{own / total:.0%}")
        Console().print(table)
        dearest = sorted(stats.items(), key=lambda item: -item[1][2])[:show]
        for (file, line, function), (calls, _, own, whole, _) in dearest:
            place = "/".join(Path(file).parts[-3:])
            times = f"{1e6 * own / count:8.1f} µs own {1e6 * whole / count:8.1f} with callees {calls / count:7.1f} ×"
            print(f"    {times}  {place}:{line} {function}")
        print()


def part_of(place: str) -> str:
    return next((name for name, marks in PARTS if any(mark in place for mark in marks)), "the rest of Python")


async def measure(folder: Path) -> dict[str, tuple[cProfile.Profile, float]]:
    """By kind, its profile, and the processor seconds of all requests without the profiler."""
    async with open_cloud(folder) as cloud:
        await cloud.install("household", SCHEMA.read_text())
        await fill_log(cloud.store, SMALL)
        await cloud.loop.wait_for(await cloud.last(), timeout=120)
        await cloud.search_loop.wait_for(await cloud.last(), timeout=120)
        found: dict[str, tuple[cProfile.Profile, float]] = {}
        for kind, bodies in bodies_of().items():
            await run(cloud, kind, bodies)
            began = time.process_time()
            await run(cloud, kind, bodies)
            seconds = time.process_time() - began
            profile = cProfile.Profile()
            profile.enable()
            await run(cloud, kind, bodies)
            profile.disable()
            found[kind] = profile, seconds
        return found


def bodies_of() -> dict[str, list[bytes]]:
    ids, offsets, images = chosen(SMALL)
    return {
        "get": [orjson.dumps({"query": OUR_GET, "variables": {"id": id}}) for id in ids],
        "nested": [orjson.dumps({"query": OUR_NESTED, "variables": {"offset": offset}}) for offset in offsets],
        "create": [orjson.dumps({"query": OUR_CREATE, "variables": {"input": [one]}}) for one in images],
    }


async def run(cloud: Cloud, kind: str, bodies: Sequence[bytes]) -> None:
    headers: Mapping[str, str] = {}
    numbers = iter(range(REQUESTS[kind]))

    async def one_after_the_other() -> None:
        for number in numbers:
            body: dict[str, Any] = orjson.loads(bodies[number % len(bodies)])
            status, answer, _ = await cloud.api.execute(OWNER, body, headers)
            assert status == 200 and b'"errors"' not in answer, answer

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE[kind])))
