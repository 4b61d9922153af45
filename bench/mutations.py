"""How long a mutation takes until it is acknowledged (with fsync), and then a trigger until it starts its action."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp

from bench.figures import Figure
from core.apps import packed
from tests.node_process import NodeProcess, wait_until

__all__ = ["measure_mutations"]

SAMPLES = 300
WARM_UP = 30
ADD = "mutation($text: String!) { addProbe_Sample(input: [{ text: $text }]) { probe_Sample { id } } }"
PROBE = Path(__file__).parent / "apps" / "probe"


def measure_mutations(node: NodeProcess) -> list[Figure]:
    node.install_archive(packed(PROBE).data, unconfined=True)
    acknowledged, seconds = asyncio.run(add_samples(node))
    started = wait_until(lambda: all_started(node, acknowledged), what="every sample's action")
    delays = tuple(max(0.0, started[id] - at) * 1000 for id, at in acknowledged.items())
    return [
        Figure("mutation, to its durable acknowledgement", "ms", tuple(1000 * value for value in seconds), bound=5),
        Figure("trigger, from acknowledgement to action", "ms", delays, bound=10),
    ]


async def add_samples(node: NodeProcess) -> tuple[dict[str, float], list[float]]:
    """When each sample was acknowledged, by id, and how long each mutation took."""
    acknowledged: dict[str, float] = {}
    seconds: list[float] = []
    headers = {"Authorization": f"Bearer {node.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(WARM_UP + SAMPLES):
            began = time.perf_counter()
            body = {"query": ADD, "variables": {"text": f"sample {number}"}}
            async with session.post(f"{node.address}/graphql", json=body) as answer:
                payload = await answer.json()
            took, now = time.perf_counter() - began, time.time()
            if number >= WARM_UP:
                seconds.append(took)
                acknowledged[payload["data"]["addProbe_Sample"]["probe_Sample"][0]["id"]] = now
            await asyncio.sleep(0.005)  # one at a time, as a person's changes come, not in a queue
    return acknowledged, seconds


def all_started(node: NodeProcess, wanted: dict[str, float]) -> dict[str, float] | None:
    times = node.json("call", "probe/times")
    return times if wanted.keys() <= times.keys() else None
