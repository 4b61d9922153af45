"""How long it takes until a changed grant applies to an app's queries, with 200 types, while another app's queries go
on.

Measured on a real log, graph and API in this process: from the request for the grant's event until the first query has
been answered through the new view, so including the event's fsync. The other figure is the longest wait of another
app's query.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from core.graph.command import EntityChange
from pcloud.subject import Ref
from tests.integration.api.conftest import Cloud, grant, open_cloud

__all__ = ["measure_view_swap"]

APPS, TYPES = 4, 50  # for each app
SWAPS = 40
QUERY = """{
  queryAType7(first: 1) { id name } queryDType30(first: 1) { count next { id } } search(text: "a") { total }
}"""


def measure_view_swap() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        swapped, waits = asyncio.run(swap_views(Path(folder)))
    return [
        Figure("a changed grant, to the first answer by the new view (200 types)", "ms", swapped, bound=200),
        Figure("longest wait of another app's query meanwhile", "ms", (max(waits),), bound=200),
    ]


def schema(prefix: str) -> str:
    """Types that relate to each other in a ring."""
    name = f"{prefix}Type"
    return "\n".join(
        f"type {name}{n} {{ name: String! @search(by: [term, exact, facet]) key: String! @id at: DateTime @search(by: [day]) "
        f"count: Int @search(by: [int]) size: Int64 share: Float done: Boolean next: {name}{(n + 1) % TYPES} "
        f"many: [{name}{(n + 2) % TYPES}!] }}"
        for n in range(TYPES)
    )


async def swap_views(folder: Path) -> tuple[tuple[float, ...], list[float]]:
    async with open_cloud(folder) as cloud:
        grants = []
        for prefix in "ABCD"[:APPS]:
            await cloud.install(prefix.lower(), schema(prefix))
            grants += [grant("reader", "read", f"{prefix.lower()}/{prefix}Type{n}") for n in range(TYPES)]
        await cloud.install("other", "type Note { text: String }")
        await cloud.install("reader", "", grants)
        await cloud.ask(QUERY, by="reader")
        waits: list[float] = []
        going = asyncio.create_task(go_on(cloud, waits))
        swapped = [await swap(cloud, number) for number in range(SWAPS)]
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        return tuple(swapped), waits


async def swap(cloud: Cloud, number: int) -> float:
    """Withdraw one of the 200 grants, or give it back; returns the milliseconds until the view shows it."""
    state = "rejected" if number % 2 == 0 else "approved"
    before = cloud.views.app("reader")
    began = time.perf_counter()
    await cloud.commands.write(
        "owner", [EntityChange(Ref("core", "Grant", "reader-42"), "update", set={"state": state})]
    )
    await cloud.ask(QUERY, by="reader")
    took = 1000 * (time.perf_counter() - began)
    assert cloud.views.app("reader") is not before and ("AType42" in cloud.views.app("reader").types) is (
        number % 2 == 1
    )
    return took


async def go_on(cloud: Cloud, waits: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await cloud.ask("{ queryNote(first: 1) { id } }", by="other")
        waits.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.002)
