"""What the sandbox's door adds to a call: the same app on two nodes side by side, one of which runs its apps
unconfined.

Blocks of calls to the two alternate, so that other work of the machine affects both.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import aiohttp

from bench.figures import Figure
from core.apps import packed
from tests.node_process import NodeProcess

__all__ = ["measure_relay"]

PROBE = Path(__file__).parent / "apps" / "probe"
BLOCKS, A_BLOCK, WARM_UP = 12, 50, 100
CALL = '{"query": "mutation { callAction(app: \\"probe\\", action: \\"note\\", args: {id: \\"x\\"}) }"}'


def measure_relay(folder: Path) -> list[Figure]:
    """On two nodes of its own."""
    with (
        NodeProcess(folder / "sandboxed") as sandboxed,
        NodeProcess(folder / "unconfined", "--unconfined") as unconfined,
    ):
        for node in (sandboxed, unconfined):
            node.install_archive(packed(PROBE).data)
        inside, outside = asyncio.run(alternate(sandboxed, unconfined))
    added = tuple(one - other for one, other in zip(inside, outside, strict=True))
    return [
        Figure("call of an app that runs unconfined", "ms", tuple(outside)),
        Figure("call of the same app in its sandbox", "ms", tuple(inside)),
        Figure("what the sandbox adds to a call", "ms", added, bound=0.3),
        Figure("sandboxed against unconfined", "×", (statistics.median(inside) / statistics.median(outside),)),
    ]


async def alternate(*nodes: NodeProcess) -> list[list[float]]:
    """For each node the median of each block, in milliseconds."""
    medians: list[list[float]] = [[] for _ in nodes]
    async with aiohttp.ClientSession() as session:
        for node in nodes:
            await block(session, node, WARM_UP)
        for _ in range(BLOCKS):
            for node, found in zip(nodes, medians, strict=True):
                found.append(await block(session, node, A_BLOCK))
    return medians


async def block(session: aiohttp.ClientSession, node: NodeProcess, count: int) -> float:
    headers = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"}
    taken: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        async with session.post(f"{node.address}/graphql", data=CALL, headers=headers) as answer:
            payload = await answer.json()
        taken.append(1000 * (time.perf_counter() - began))
        assert "errors" not in payload, payload
    return statistics.median(taken)
