"""How each kind of work grows with the graph: from 10⁴ to 10⁶ entities, the same requests, in this process on a real log.

Times are medians of the processor's time of one request at a time (for a search, which has threads of its own, by the clock).
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure
from bench.graph_servers import OUR_GET, OUR_NESTED, SCHEMA, fill_log
from bench.household import WORDS, Household
from core.schema import builtin_catalog
from projections.graph.sqlite import open_sqlite_graph
from projections.refill import refill
from tests.integration.api.conftest import Cloud, open_cloud

__all__ = ["SIZES", "measure_growth"]

SIZES = (10_000, 100_000, 1_000_000)
SAMPLES = 300
PAGE = """query($camera: String!, $at: DateTime!) {
  queryHousehold_Image(filter: {camera: {eq: $camera}, takenAt: {le: $at}}, order: [{desc: takenAt}], first: 50) { id place title takenAt }
}"""
SEARCH = "query($text: String!) { search(text: $text, first: 20) { total hits { score } } }"


def measure_growth() -> list[Figure]:
    """PCLOUD_BENCH_SIZES=10000,100000 takes other sizes."""
    given = os.environ.get("PCLOUD_BENCH_SIZES", "")
    sizes = tuple(map(int, given.split(","))) if given else SIZES
    figures: list[Figure] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
            for what, (unit, values) in asyncio.run(measure_at(Path(folder), size)).items():
                figures.append(Figure(f"{what}, {size:,} entities", unit, values))
    return figures


async def measure_at(folder: Path, size: int) -> dict[str, tuple[str, tuple[float, ...]]]:
    house = Household.of(size)
    chance = random.Random(13)
    async with open_cloud(folder) as cloud:
        await cloud.install("household", SCHEMA.read_text())
        await fill_log(cloud.store, house)
        last = await cloud.last()
        await cloud.loop.wait_for(last, timeout=3600)
        await cloud.search_loop.wait_for(last, timeout=3600)
        found = {
            "get by id": ("ms", await sample(cloud, OUR_GET, lambda: {"id": f"i{chance.randrange(house.images)}"})),
            "filtered page of 50": ("ms", await sample(cloud, PAGE, lambda: page(chance))),
            "50 images with segments with person": (
                "ms",
                await sample(cloud, OUR_NESTED, lambda: {"offset": chance.randrange(200)}),
            ),
            "search": ("ms", await sample(cloud, SEARCH, lambda: {"text": chance.choice(WORDS)}, by_clock=True)),
        }
        found["rebuild of the graph"] = ("events/s", (await rebuild(cloud, folder / "again.db", last),))
        found["the graph's file"] = ("MB", ((folder / "graph.db").stat().st_size / 2**20,))
        found["the search index"] = (
            "MB",
            (sum(one.stat().st_size for one in (folder / "search").rglob("*") if one.is_file()) / 2**20,),
        )
        found["the log's files"] = (
            "MB",
            (sum(one.stat().st_size for one in (folder / "nats").rglob("*") if one.is_file()) / 2**20,),
        )
        for name, process in (
            ("memory of core", psutil.Process()),
            ("memory of nats-server", psutil.Process().children()[0]),
        ):
            found[name] = ("MB", (process.memory_info().rss / 2**20,))
    return found


def page(chance: random.Random) -> dict[str, Any]:
    return {"camera": f"camera {chance.randrange(9)}", "at": f"20{chance.randrange(5, 25):02}-06-11T10:00:00Z"}


async def sample(
    cloud: Cloud, query: str, variables: Callable[[], dict[str, Any]], *, by_clock: bool = False
) -> tuple[float, ...]:
    """Milliseconds; the median of each of five parts."""
    clock = time.perf_counter if by_clock else time.process_time
    taken: list[float] = []
    for _ in range(SAMPLES):
        given = variables()
        began = clock()
        await cloud.ask(query, given)
        taken.append(1000 * (clock() - began))
    part = SAMPLES // 5
    return tuple(statistics.median(taken[at : at + part]) for at in range(0, SAMPLES, part))


async def rebuild(cloud: Cloud, path: Path, last: int) -> float:
    view = await open_sqlite_graph(path, builtin_catalog())
    try:
        began = time.perf_counter()
        await view.begin_filling()
        await refill(cloud.store, view, last)
        await view.end_filling()
        return last / (time.perf_counter() - began)
    finally:
        await view.close()
