"""The cost of rebuilding the views: `python -m bench.rebuild [EVENTS] [--keep FOLDER] [--json]`, of 1,000,000 events by
default.

The graph is rebuilt while a client reads and writes; then search. Rates are events of the log a second, also by the CPU
time of this process alone, which indicates the rate on a quiet machine. `--keep`: the log is kept there and used again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench.rebuild_log import IMAGE, write_log
from core.graph.schema import builtin_catalog
from core.node.garbage import collect_less
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.contract import IdIn, Select
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Rebuilds
from projections.search.switch import SearchSwitch
from projections.search.versions import TantivyVersions
from projections.versions import VersionFile

__all__ = ["measure"]


class Client:
    """Writes one entity, waits for it and reads it, repeatedly; any error ends the measurement."""

    def __init__(self, store: EventStore, graph: GraphSwitch, loop: ProjectionLoop[Any]) -> None:
        self._store, self._graph, self._loop = store, graph, loop
        self.seconds: list[float] = []

    async def run(self, pause: float) -> None:
        while True:
            id, began = new_id(), time.perf_counter()
            event = Event(Ref("house", "Image", id), Kind.CREATED, Change(set={"title": "meanwhile"}))
            appended = await self._store.append(Transaction(new_id().replace("-", ""), (event,), "owner"))
            await self._loop.wait_for(appended.revision.sequence, timeout=60)
            found = await self._graph.fetch(Select(IMAGE, ("title",), filter=IdIn((id,))))
            assert found == [{"title": "meanwhile"}]
            self.seconds.append(time.perf_counter() - began)
            await asyncio.sleep(pause)


async def measure(events: int, folder: Path, *, pause: float = 0.05) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_server(ServerSettings(folder / "nats")))
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        last = await store.last_sequence() or await write_log(store, events)
        graph, rebuilds, search, search_rebuilds = await open_projections(stack, folder / "views", store)
        loops = (ProjectionLoop(store, graph), ProjectionLoop(store, search))
        tasks = [asyncio.create_task(loops[0].run())]
        await loops[0].wait_for(last, timeout=None)
        await search.in_use.begin(store.epoch)
        tasks.append(asyncio.create_task(loops[1].run()))
        client = Client(store, graph, loops[0])
        tasks.append(asyncio.create_task(client.run(pause)))
        answer = {"events": last, "graph": await timed(rebuilds), "search": await timed(search_rebuilds)}
        taken = sorted(client.seconds)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [repr(one) for one in ended if not isinstance(one, asyncio.CancelledError)]
        return answer | {
            "meanwhile": {
                "writes": len(taken),
                "ms_p50": 1000 * taken[len(taken) // 2],
                "ms_p99": 1000 * taken[len(taken) * 99 // 100],
                "ms_most": 1000 * taken[-1],
            },
            "failures": failures,
        }


async def open_projections(
    stack: AsyncExitStack, folder: Path, store: EventStore
) -> tuple[Any, Rebuilds, Any, Rebuilds]:
    for part in ("graph", "search"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    graph, rebuilds = await open_projection(
        partial(GraphSwitch, "graph"), {"sqlite": SqliteVersions(folder / "graph", builtin_catalog())},
        VersionFile(folder / "graph" / "versions.json"), store, "sqlite",
    )  # fmt: skip
    stack.push_async_callback(graph.close)
    search, search_rebuilds = await open_projection(
        partial(SearchSwitch, "search"), {"tantivy": TantivyVersions(folder / "search", graph)},
        VersionFile(folder / "search" / "versions.json"), store, "tantivy",
    )  # fmt: skip
    stack.push_async_callback(search.close)
    return graph, rebuilds, search, search_rebuilds


async def timed(rebuilds: Rebuilds) -> dict[str, float]:
    """Events a second, by the clock and by this process's CPU time, and the MB by which it grew at most."""
    process = psutil.Process()
    before = most = process.memory_info().rss
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    cpu = time.process_time()
    began = time.perf_counter()
    await rebuilds.rebuild()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done.set()
    await watching
    count = rebuilds.switch.checkpoint.sequence
    grew, peak = (most - before) / 2**20, most / 2**20
    return {"seconds": seconds, "rate": count / seconds, "rate_by_cpu": count / cpu, "grew_mb": grew, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("events", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    collect_less()
    with tempfile.TemporaryDirectory() as scratch:
        answer = asyncio.run(measure(given.events, given.keep or Path(scratch)))
    if given.json:
        print(json.dumps(answer))
        return
    for view in ("graph", "search"):
        one = answer[view]
        print(
            f"{view:<7} {one['rate']:>9,.0f} events/s ({one['rate_by_cpu']:,.0f} by CPU time), "
            f"+{one['grew_mb']:.0f} MB, {one['peak_mb']:.0f} MB at most"
        )
    meanwhile = answer["meanwhile"]
    print(
        f"meanwhile {meanwhile['writes']:,} writes, each read back: {meanwhile['ms_p50']:.1f} ms, "
        f"p99 {meanwhile['ms_p99']:.1f} ms, {meanwhile['ms_most']:.0f} ms at most"
    )
    print("errors", answer["failures"] or "none")


if __name__ == "__main__":
    main()
