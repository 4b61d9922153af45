"""kill -9 in the middle of a rebuild and of a fold: one whole version is always in use, and in the end it is what the log says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bench.rebuild_log import IMAGE, write_log
from core.node.verify import verify_graph
from core.schema import builtin_catalog
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.port import Select
from projections.search.port import SearchQuery
from tests.crashes.viewing_process import open_views

ROOT = Path(__file__).parents[2]
COUNT = 30_000
# What the process has said last when it is killed, and how often it has said such a thing by then.
MOMENTS = [
    ("folded", 1), ("folded", 20), ("built", 1), ("folded", 30), ("built", 4), ("switched", 1), ("built", 9), ("indexed", 1),
    ("switched", 2), ("folded", 60), ("built", 14), ("switched", 3),
]  # fmt: skip


class Killer:
    """Runs the process again and again. Each time that it says something, one more event is written: there is always one to fold."""

    def __init__(self, store: EventStore, command: list[str]) -> None:
        self._store, self._command, self.written = store, command, 0
        self._loop = asyncio.get_running_loop()

    async def write(self) -> None:
        event = Event(Ref("house", "Image", f"n{self.written}"), Kind.CREATED, Change(set={"title": "sea anew"}))
        self.written += 1
        await self._store.append(Transaction(new_id().replace("-", ""), (event,), "owner"))

    def kill_at(self, what: str, count: int) -> int:
        """Kill it when it has said `what` so often; returns the highest sequence that it had folded."""
        folded = 0
        with subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said, sequence = line.split()
                folded = max(folded, int(sequence) if said == "folded" else 0)
                count -= said == what
                if count == 0:
                    process.kill()
                    return folded
                asyncio.run_coroutine_threadsafe(self.write(), self._loop).result(30)
        raise AssertionError(f"the process ended by itself with {process.returncode}")


@pytest.mark.timeout(400)
async def test_killed_while_it_folds_and_rebuilds_it_ends_equal(tmp_path: Path) -> None:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as store,
    ):
        await write_log(store, COUNT)
        core = server.core
        command = [sys.executable, "-m", "tests.crashes.viewing_process", str(tmp_path / "views"), server.url]
        command += [core.user, core.password]
        killer = Killer(store, command)
        for what, count in MOMENTS:
            folded = await asyncio.to_thread(killer.kill_at, what, count)
            assert folded <= await store.last_sequence()
        async with open_views(tmp_path / "views", store) as views:
            last = await store.last_sequence()
            await views.graph_loop.wait_for(last, timeout=120)
            await views.search_loop.wait_for(last, timeout=120)
            verified = await verify_graph(store, views.graph, builtin_catalog(), tmp_path, lambda step, detail: None)
            assert verified["equal"], verified
            assert verified["events"] == last
            count = len(await views.graph.fetch(Select(IMAGE, ("id",))))
            assert count == COUNT * 3 // 10 + killer.written
            found = await views.search.search(SearchQuery("anew", {IMAGE: frozenset({"title"})}, first=1))
            assert found.total == killer.written
            files = {path.name for path in (tmp_path / "views" / "graph").glob("*.sqlite")}
            assert len(files) <= 3
