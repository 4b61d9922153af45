"""How each kind of work grows with the graph: from 10⁴ to 10⁶ entities, the same requests, on a real log.

One process (`python -m bench.growth make FOLDER SIZE`) fills the log and makes the views from it, as a rebuild does;
another (`ask`) opens them, as a starting node does, and runs the queries, so that the memory for filling is not counted
as the memory of a filled node. Times are medians of the processor's time of one request at a time (for a search, which
has threads of its own, by the clock).
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.figures import Figure
from bench.graph_servers import OUR_GET, OUR_NESTED
from bench.household import WORDS, Household
from bench.refolding import fill, refold_search, refold_sqlite
from tests.integration.api.conftest import Cloud, open_cloud

__all__ = ["REBUILDS", "REQUESTS", "measure_growth"]

SAMPLES = 300
PAGE = """query($camera: String!, $at: DateTime!) {
  queryHousehold_Image(filter: {camera: {eq: $camera}, takenAt: {le: $at}}, order: [{desc: takenAt}], first: 50) { id place title takenAt }
}"""
SEARCH = "query($text: String!) { search(text: $text, first: 20) { total hits { score } } }"
REQUESTS = ("get by id", "filtered page of 50", "50 images with segments with person", "search")
REBUILDS = ("rebuild of the graph", "rebuild of search")

Found = dict[str, tuple[str, tuple[float, ...]]]


def measure_growth(sizes: tuple[int, ...]) -> list[Figure]:
    figures: list[Figure] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
            made, asked = (in_its_process(step, folder, size) for step in ("make", "ask"))
            found = {name: asked.pop(name) for name in REQUESTS} | made | asked
        for what, (unit, values) in found.items():
            figures.append(Figure(f"{what}, {size:,} entities", unit, tuple(values)))
    return figures


def in_its_process(step: str, folder: str, size: int) -> Found:
    command = [sys.executable, "-m", "bench.growth", step, folder, str(size)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout)


def make(folder: Path, house: Household) -> Found:
    """Log and views, in the places where `open_cloud` looks for them."""
    uvloop.run(fill(folder, house))
    graph, search = folder / "graph.db", folder / "search"
    rates = (uvloop.run(refold_sqlite(folder, graph)).rate, uvloop.run(refold_search(folder, graph, search)).rate)
    found: Found = {name: ("events/s", (rate,)) for name, rate in zip(REBUILDS, rates, strict=True)}
    for what, place in (
        ("the graph's file", graph),
        ("the search index", search),
        ("the log's files", folder / "nats"),
    ):
        files = [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]
        found[what] = ("MB", (sum(one.stat().st_size for one in files) / 2**20,))
    return found


async def ask(folder: Path, house: Household) -> Found:
    chance = random.Random(13)
    requests: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        (OUR_GET, lambda: {"id": f"i{chance.randrange(house.images)}"}),
        (PAGE, lambda: page(chance)),
        (OUR_NESTED, lambda: {"offset": chance.randrange(200)}),
        (SEARCH, lambda: {"text": chance.choice(WORDS)}),
    ]
    async with open_cloud(folder) as cloud:
        last = await cloud.last()
        await cloud.loop.wait_for(last, timeout=600)
        await cloud.search_loop.wait_for(last, timeout=600)
        found: Found = {}
        for name, (query, variables) in zip(REQUESTS, requests, strict=True):
            found[name] = ("ms", await sample(cloud, query, variables, by_clock=query is SEARCH))
        itself = psutil.Process()
        found["memory of core"] = ("MB", (itself.memory_info().rss / 2**20,))
        server = sum(one.memory_info().rss for one in itself.children() if "nats" in one.name())
        found["memory of nats-server"] = ("MB", (server / 2**20,))
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


def main(step: str, folder: Path, size: int) -> None:
    house = Household.of(size)
    print(json.dumps(make(folder, house) if step == "make" else uvloop.run(ask(folder, house))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
