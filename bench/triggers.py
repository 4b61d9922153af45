"""How soon after a change is acknowledged the action that it triggers begins: at a few paces, and behind a burst.

To compare with: Hasura's event triggers ask their table once a second by default (HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL), so that an event
waits half a second in the middle and a second at most; the first PCloud asked every thirty seconds. Those two are documented, not measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from bench.figures import Figure
from core.app import packed
from tests.node_process import NodeProcess, wait_until

__all__ = ["measure_triggers"]

ADD = "mutation($input: [AddProbe_SampleInput!]!) { addProbe_Sample(input: $input) { probe_Sample { id } } }"
PROBE = Path(__file__).parent / "apps" / "probe"
TOGETHER = 1_000  # of a burst, in one mutation
HASURA_MEDIAN, HASURA_MOST = 500.0, 1_000.0


def measure_triggers(folder: Path, seconds: dict[int, float], burst: int) -> tuple[list[Figure], dict[str, float]]:
    """`seconds`: for how long, by events a second. Also median and p99 in milliseconds over all paces."""
    figures: list[Figure] = []
    paced: list[float] = []
    with NodeProcess(folder / "triggers") as node:
        node.install_archive(packed(PROBE).data, unconfined=True)
        delays(node, asyncio.run(add_paced(node, 20, 1.0)))  # warm
        for pace, length in seconds.items():
            found = delays(node, asyncio.run(add_paced(node, pace, length)))
            paced += found
            figures.append(Figure(f"trigger, from acknowledgement to action, {pace} events/s", "ms", found, bound=10))
        found = delays(node, asyncio.run(add_burst(node, burst)))
        figures.append(Figure(f"trigger, from acknowledgement to action, burst of {burst:,} events", "ms", found))
    figures.append(Figure("the same, Hasura's documented poll (middle)", "ms", (HASURA_MEDIAN,)))
    whole = Figure("trigger, from acknowledgement to action, all paces", "ms", tuple(paced))
    return [*figures, whole], {"p50": whole.median, "p99": whole.high}


async def add(node: NodeProcess, session: aiohttp.ClientSession, texts: Sequence[str]) -> dict[str, float]:
    body = {"query": ADD, "variables": {"input": [{"text": text} for text in texts]}}
    async with session.post(f"{node.address}/graphql", json=body) as answer:
        payload = await answer.json()
    now = time.time()
    return {one["id"]: now for one in payload["data"]["addProbe_Sample"]["probe_Sample"]}


async def add_paced(node: NodeProcess, pace: int, seconds: float) -> dict[str, float]:
    """When each was acknowledged, by id; each is sent at its time, whether or not the one before is answered."""
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


def delays(node: NodeProcess, acknowledged: dict[str, float]) -> tuple[float, ...]:
    def all_started() -> dict[str, float] | None:
        times = node.json("call", "probe/times")
        return times if acknowledged.keys() <= times.keys() else None

    started = wait_until(all_started, seconds=120, what="every sample's action")
    return tuple(max(0.0, started[id] - at) * 1000 for id, at in acknowledged.items())
