"""How fast past events pass through a trigger that does nothing, including run states, and how much that delays new
events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.figures import Figure
from core.apps import packed
from core.cli.client import Client, open_client
from tests.node_process import NodeProcess, wait_until

__all__ = ["measure_replay"]

APPS = Path(__file__).parent / "apps"
TRIGGER = "replayed/each"
EVENTS = 20_000  # the goal is about 100,000: PCLOUD_BENCH_EVENTS=100000
TOGETHER = 1000  # events in one mutation
PAUSE = 0.1  # between two live events
LOOK = 0.5  # between two looks at the progress; the rate may be that much too low
ALONE = 50
ADD = "mutation($input: [AddPast_ThingInput!]!) { addPast_Thing(input: $input) { past_Thing { id } } }"
REPLAY = "mutation($trigger: String!) { replay(trigger: $trigger) }"
STATE = '{ triggers(app: "replayed") }'


def measure_replay(folder: Path) -> list[Figure]:
    """On a node of its own."""
    events = int(os.environ.get("PCLOUD_BENCH_EVENTS", EVENTS))
    with NodeProcess(folder / "replay") as node:
        node.install_archive(packed(APPS / "past").data, unconfined=True)
        asyncio.run(add_past(node, events))
        node.install_archive(packed(APPS / "replayed").data, unconfined=True)
        node.json("call", "replayed/times")  # it listens now
        alone = asyncio.run(add_live(node, ALONE))
        used = processor_time(node)
        rate, beside = asyncio.run(replay(node, events))
        used = processor_time(node) - used
        started = wait_until(lambda: all_started(node, {**alone, **beside}), what="every live event's action")
    return [
        Figure(f"replay of {events:,} events through a no-op trigger", "events/s", (rate,), bound=1000, least=True),
        Figure("replay, processor time of all processes for an event", "ms", (1000 * used / events,)),
        Figure("trigger, from mutation to action, nothing else going on", "ms", delays(alone, started)),
        Figure("trigger, from mutation to action, during a replay", "ms", delays(beside, started), bound=50),
    ]


async def add_past(node: NodeProcess, events: int) -> None:
    async with open_client(node.data) as client:
        for first in range(0, events, TOGETHER):
            things = [{"number": number} for number in range(first, min(first + TOGETHER, events))]
            await client.graphql(ADD, {"input": things})


async def replay(node: NodeProcess, events: int) -> tuple[float, dict[str, float]]:
    """Events per second from the request to the end, and when each live event beside it was requested, by id."""
    async with open_client(node.data) as client:
        began = time.perf_counter()
        await client.graphql(REPLAY, {"trigger": TRIGGER})
        stop = asyncio.Event()
        live = asyncio.create_task(add_live(node, events, stop))
        shown = await look(client, lambda trigger: trigger["state"] == "DONE")
        seconds = time.perf_counter() - began
        stop.set()
        # The view of runs follows a moment later.
        await look(client, lambda trigger: trigger["done"] >= shown["events"] >= events)
        return shown["events"] / seconds, await live


async def look(client: Client, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The trigger as the owner sees it, once it is as `wanted`."""
    while True:
        (trigger,) = (await client.graphql(STATE))["triggers"]
        if wanted(trigger):
            return trigger
        await asyncio.sleep(LOOK)


async def add_live(node: NodeProcess, most: int, stop: asyncio.Event | None = None) -> dict[str, float]:
    """Add one thing after the other, as a person's changes come; returns when each was requested, by id."""
    asked: dict[str, float] = {}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {node.token}"}) as session:
        while len(asked) < most and not (stop and stop.is_set()):
            began = time.time()
            body = {"query": ADD, "variables": {"input": [{"number": -1}]}}
            async with session.post(f"{node.address}/graphql", json=body) as answer:
                payload = await answer.json()
            asked[payload["data"]["addPast_Thing"]["past_Thing"][0]["id"]] = began
            await asyncio.sleep(PAUSE)
    return asked


def processor_time(node: NodeProcess) -> float:
    """Seconds that core, nats-server and the apps have used so far: a busy machine does not change them."""
    assert node.process
    times = [psutil.Process(pid).cpu_times() for pid in (node.process.pid, *node.children())]
    return sum(time.user + time.system for time in times)


def all_started(node: NodeProcess, wanted: dict[str, float]) -> dict[str, float]:
    """When each began; empty until all have."""
    times = node.json("call", "replayed/times")
    return times if wanted.keys() <= times.keys() else {}


def delays(asked: dict[str, float], started: dict[str, float]) -> tuple[float, ...]:
    return tuple(max(0.0, started[id] - at) * 1000 for id, at in asked.items())
