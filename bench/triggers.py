"""How soon after the acknowledgement of a change the triggered action begins: at a few paces, and after a burst.

To compare with: Hasura's event triggers poll their table once a second by default
(HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL); the first PCloud polled every thirty seconds. Those two are documented, not
measured: a poller finds an event after half of its interval on average.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from bench.figures import Figure
from core.apps import packed
from tests.node_process import NodeProcess, wait_until

__all__ = ["measure_triggers"]

ADD = "mutation($input: [AddProbe_SampleInput!]!) { addProbe_Sample(input: $input) { probe_Sample { id } } }"
CALL = 'mutation($action: String!) { callAction(app: "probe", action: $action, args: {}) }'
PROBE = Path(__file__).parent / "apps" / "probe"
TOGETHER = 1_000  # events of a burst, in one mutation
GOAL = 10.0
POLLS = {"Hasura's documented poll of 1 s": 1_000.0, "the first PCloud's poll of 30 s": 30_000.0}


def measure_triggers(folder: Path, seconds: dict[int, float], burst: int) -> tuple[list[Figure], dict[str, float]]:
    """`seconds`: the duration, by events a second. Also median and p99 in milliseconds over all paces."""
    figures: list[Figure] = []
    paced: list[float] = []
    with NodeProcess(folder / "triggers") as node:
        node.install_archive(packed(PROBE).data, unconfined=True)
        delays(node, asyncio.run(add_paced(node, 20, 1.0)))  # warm
        for pace, length in seconds.items():
            before = call(node, "count")
            found = delays(node, asyncio.run(add_paced(node, pace, length)), before)
            paced += found
            figures += rows(f"{pace} events/s", found, bound=GOAL)
        before = call(node, "count")
        found = delays(node, asyncio.run(add_burst(node, burst)), before)
        figures += rows(f"burst of {burst:,} events", found)
    for name, every in POLLS.items():
        figures.append(Figure(f"trigger, {name}: median", "ms", (every * 0.5,)))
        figures.append(Figure(f"trigger, {name}: p99", "ms", (every * 0.99,)))
    whole = Figure("trigger, all paces", "ms", tuple(paced))
    return figures, {"p50": whole.median, "p99": whole.high}


def rows(what: str, found: tuple[float, ...], bound: float | None = None) -> Iterator[Figure]:
    whole = Figure(f"trigger, {what}: median", "ms", found, bound)
    yield whole
    yield Figure(f"trigger, {what}: p99", "ms", (whole.high,))


async def add(node: NodeProcess, session: aiohttp.ClientSession, texts: Sequence[str]) -> dict[str, float]:
    body = {"query": ADD, "variables": {"input": [{"text": text} for text in texts]}}
    async with session.post(f"{node.address}/graphql", json=body) as answer:
        payload = await answer.json()
    now = time.time()
    return {one["id"]: now for one in payload["data"]["addProbe_Sample"]["probe_Sample"]}


async def add_paced(node: NodeProcess, pace: int, seconds: float) -> dict[str, float]:
    """When each was acknowledged, by id; each is sent at its time, even if the one before is not answered yet."""
    acknowledged: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {node.token}"}) as session:
        began = loop.time()

        async def at(number: int) -> None:
            await asyncio.sleep(began + number / pace - loop.time())
            acknowledged.update(await add(node, session, [f"sample {number}"]))

        await asyncio.gather(*(at(number) for number in range(max(1, round(pace * seconds)))))
    return acknowledged


async def add_burst(node: NodeProcess, count: int) -> dict[str, float]:
    acknowledged: dict[str, float] = {}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {node.token}"}) as session:
        for first in range(0, count, TOGETHER):
            acknowledged |= await add(node, session, [f"burst {n}" for n in range(first, min(first + TOGETHER, count))])
    return acknowledged


def delays(node: NodeProcess, acknowledged: dict[str, float], before: int = 0) -> tuple[float, ...]:
    """Milliseconds. Waits for this many actions, `before` of them earlier ones: their number costs the node little, all
    their times much."""
    wait_until(lambda: call(node, "count") >= before + len(acknowledged), seconds=300, what="every sample's action")
    started: dict[str, float] = call(node, "times")
    return tuple(max(0.0, started[id] - at) * 1000 for id, at in acknowledged.items())


def call(node: NodeProcess, action: str) -> Any:
    return node.graphql(CALL, {"action": action})["callAction"]
