"""kill -9 in the middle of a rebuild and of a fold: one whole version is always in use, and in the end it equals the log."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.rebuild_log import IMAGE, write_log
from core.graph.schema import builtin_catalog
from core.node.verify import verify_graph
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.contract import Select
from projections.search.contract import SearchQuery
from tests.crashes.folding_process import folding_process, open_projections
from tests.waiting import PATIENCE

COUNT = 12_000
# The last message of the process before it is killed, and how often it has sent such a message by then.
MOMENTS = [
    ("folded", 1), ("folded", 8), ("built", 1), ("folded", 12), ("built", 2), ("switched", 1), ("built", 4), ("indexed", 1),
    ("switched", 2), ("folded", 25), ("built", 6), ("switched", 3),
]  # fmt: skip


class Killer:
    """Runs the process again and again. At each of its messages, one more event is written, so there is always one to fold."""

    def __init__(self, store: EventStore, folder: Path, settings: ConnectionSettings) -> None:
        self._store, self._folder, self._settings, self.written = store, folder, settings, 0
        self._loop = asyncio.get_running_loop()

    async def write(self) -> None:
        event = Event(Ref("house", "Image", f"n{self.written}"), Kind.CREATED, Change(set={"title": "sea breeze"}))
        self.written += 1
        await self._store.append(Transaction(new_id().replace("-", ""), (event,), "owner"))

    def kill_at(self, what: str, count: int) -> int:
        """Kill it when it has sent `what` this often; return the highest sequence that it had folded."""
        folded = 0
        with folding_process(self._folder, self._settings) as (process, said):
            while count:
                assert said.poll(60), f"the process sends no more messages (its exit code: {process.exitcode})"
                heard, sequence = said.recv()
                folded = max(folded, sequence if heard == "folded" else 0)
                count -= heard == what
                asyncio.run_coroutine_threadsafe(self.write(), self._loop).result(30)
            process.kill()
        return folded


async def test_projection_killed_during_fold_and_rebuild_ends_equal(tmp_path: Path) -> None:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as store,
    ):
        await write_log(store, COUNT)
        killer = Killer(store, tmp_path / "views", ConnectionSettings(server.url, server.core))
        for what, count in MOMENTS:
            folded = await asyncio.to_thread(killer.kill_at, what, count)
            assert folded <= await store.last_sequence()
        async with open_projections(tmp_path / "views", store) as views:
            last = await store.last_sequence()
            await views.graph_loop.wait_for(last, timeout=PATIENCE)
            await views.search_loop.wait_for(last, timeout=PATIENCE)
            verified = await verify_graph(
                store, views.graph, tmp_path, lambda step, detail: None, builtin=builtin_catalog()
            )
            assert verified["equal"], verified
            assert verified["events"] == last
            count = len(await views.graph.fetch(Select(IMAGE, ("id",))))
            assert count == COUNT * 3 // 10 + killer.written
            found = await views.search.search(SearchQuery("breeze", {IMAGE: frozenset({"title"})}, first=1))
            assert found.total == killer.written
            files = {path.name for path in (tmp_path / "views" / "graph").glob("*.sqlite")}
            assert len(files) <= 3
