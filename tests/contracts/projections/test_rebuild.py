"""A view's next version is built beside the one that answers: no caller waits, a crash loses nothing, and what is
broken is rebuilt."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.rebuild_log import HOUSE, IMAGE, write_log
from core.graph.schema import builtin_catalog
from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.errors import Conflict, NotFound, PCloudError, Rejected
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.disk_space import UNBOUNDED, DiskSpace
from projections.graph.contract import Select
from projections.graph.sqlite import store as sqlite_store
from projections.graph.sqlite import version as sqlite_version
from projections.graph.sqlite.versions import SqliteVersions
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.opening import open_projection
from projections.rebuild import Progress, Rebuilds
from projections.search.contract import SearchQuery
from projections.search.switch import SearchSwitch
from projections.search.versions import TantivyVersions
from projections.versions import VersionFile
from tests.waiting import PATIENCE

COUNT = 3_000
TITLES = {IMAGE: frozenset({"title"})}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as opened,
    ):
        await write_log(opened, COUNT)
        yield opened


@dataclass
class House:
    """Both views with their loops running."""

    graph: GraphSwitch
    graph_loop: ProjectionLoop[Any]
    rebuilds: Rebuilds
    search: SearchSwitch
    search_loop: ProjectionLoop[Any]
    search_rebuilds: Rebuilds

    async def up_to_date(self, store: EventStore) -> None:
        last = await store.last_sequence()
        await self.graph_loop.wait_for(last, timeout=PATIENCE)
        await self.search_loop.wait_for(last, timeout=PATIENCE)


@asynccontextmanager
async def house(
    folder: Path, store: Any, *, keeping: bool = False, disk_space: DiskSpace = UNBOUNDED
) -> AsyncIterator[House]:
    """`keeping`: with the tasks that rebuild automatically what must be rebuilt."""
    for part in ("graph", "search"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    stores = {"sqlite": SqliteVersions(folder / "graph", builtin_catalog())}
    file = VersionFile(folder / "graph" / "versions.json")
    graph, rebuilds = await open_projection(partial(GraphSwitch, "graph"), stores, file, store, "sqlite", disk_space)
    indexes = {"tantivy": TantivyVersions(folder / "search", graph)}
    index_file = VersionFile(folder / "search" / "versions.json")
    search, search_rebuilds = await open_projection(
        partial(SearchSwitch, "search"), indexes, index_file, store, "tantivy", disk_space
    )
    graph_loop = ProjectionLoop(store, graph)
    search_loop = ProjectionLoop(store, search, gather=0.05, behind=graph_loop)
    work = [graph_loop.run(), search_loop.run()]
    if keeping:
        work += [rebuilds.run(), search_rebuilds.run()]
    tasks = [asyncio.create_task(one) for one in work]
    opened = House(graph, graph_loop, rebuilds, search, search_loop, search_rebuilds)
    try:
        await opened.up_to_date(store)
        yield opened
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await search.close()
        await graph.close()


async def reaches(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def image(id: str, title: str) -> Transaction:
    return Transaction(
        new_id().replace("-", ""),
        (Event(Ref("house", "Image", id), Kind.CREATED, Change(set={"title": title})),),
        "owner",
    )


async def test_a_rebuild_gives_the_same_graph_while_others_read_and_write(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        done = False
        written = 0

        async def write() -> None:
            nonlocal written
            while not done or written < 20:
                appended = await store.append(image(f"new{written}", "written meanwhile"))
                await views.graph_loop.wait_for(appended.revision.sequence)
                found = await views.graph.fetch(Select(IMAGE, ("title",)), patient=True)
                assert {"title": "written meanwhile"} in found
                written += 1

        writer = asyncio.create_task(write())
        told: list[Progress] = []
        rebuilt = await views.rebuilds.rebuild(tell=told.append)
        done = True
        await writer
        await views.up_to_date(store)
        assert (rebuilt.version, rebuilt.previous, views.graph.named) == ("sqlite-2", "sqlite-1", "sqlite-2")
        assert rebuilt.events >= COUNT
        assert [one.sequence for one in told] == sorted(one.sequence for one in told)
        assert told[-1].eta >= 0 and "a second" in str(told[-1])
        async with house(tmp_path / "again", store) as again:
            assert await again.graph.dump() == await views.graph.dump()


async def test_the_previous_version_catches_up_and_answers_again(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        with pytest.raises(NotFound, match="no previous version"):
            await views.rebuilds.back()
        await views.rebuilds.rebuild()
        await store.append(image("later", "after the rebuild"))
        await views.up_to_date(store)
        before = await views.graph.dump()
        returned = await views.rebuilds.back()
        assert (returned.version, returned.previous) == ("sqlite-1", "sqlite-2")
        assert await views.graph.dump() == before
    async with house(tmp_path, store) as views:
        assert views.graph.named == "sqlite-1"
        assert await views.graph.dump() == before


async def test_one_rebuild_at_a_time_and_only_in_an_available_store(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        with pytest.raises(Rejected, match="use one of sqlite"):
            await views.rebuilds.rebuild("paper")
        first = asyncio.create_task(views.rebuilds.rebuild())
        await reaches(lambda: views.rebuilds.progress is not None)
        with pytest.raises(Conflict, match="already"):
            await views.rebuilds.rebuild()
        await first
        assert {path.name for path in (tmp_path / "graph").glob("*.sqlite")} == {"graph.sqlite", "graph-2.sqlite"}
        await views.rebuilds.rebuild()
        assert {path.name for path in (tmp_path / "graph").glob("*.sqlite")} == {"graph-2.sqlite", "graph-3.sqlite"}


async def test_a_half_built_version_is_finished_at_the_next_start(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        building = asyncio.create_task(views.rebuilds.rebuild())
        await reaches(lambda: views.rebuilds.progress is not None)
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        assert (views.graph.named, views.rebuilds.chosen.building) == ("sqlite-1", "sqlite-2")
        before = await views.graph.dump()
    async with house(tmp_path, store, keeping=True) as views:
        await reaches(lambda: views.graph.named == "sqlite-2")
        assert await views.graph.dump() == before


async def test_another_version_of_the_fold_rebuilds_itself(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, store) as views:
        before = await views.graph.dump()
    now = sqlite_store.VERSION
    monkeypatch.setattr(sqlite_store, "VERSION", now + 1)
    monkeypatch.setattr(sqlite_version, "READABLE", frozenset({now, now + 1}))
    monkeypatch.setattr(SqliteVersions, "version", now + 1)
    async with house(tmp_path, store, keeping=True) as views:
        assert await views.graph.fetch(Select(IMAGE, ("title",), first=1))
        await reaches(lambda: views.graph.version == now + 1)
        assert views.graph.named == "sqlite-2"
        assert await views.graph.dump() == before
    monkeypatch.setattr(sqlite_store, "VERSION", now + 2)
    monkeypatch.setattr(sqlite_version, "READABLE", frozenset({now + 2}))
    monkeypatch.setattr(SqliteVersions, "version", now + 2)
    async with house(tmp_path, store) as views:  # unreadable: built before any query is answered
        assert views.graph.version == now + 2
        assert await views.graph.dump() == before


@pytest.mark.parametrize("place", ["head", "middle", "garbage"])
async def test_a_damaged_file_is_named_and_rebuilt(
    store: EventStore, tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, store) as views:
        before = await views.graph.dump()
    path = tmp_path / "graph" / "graph.sqlite"
    data = bytearray(path.read_bytes())
    where = {"head": 0, "middle": len(data) // 8192 * 4096, "garbage": 0}[place]
    data[where : where + (4096 if place != "garbage" else len(data))] = b"\x5a" * (4096 if place != "garbage" else 999)
    path.write_bytes(data)
    async with house(tmp_path, store) as views:
        assert views.graph.named == "sqlite-2"
        assert await views.graph.dump() == before
    assert "damaged" in caplog.text
    assert not path.exists()


async def test_a_file_that_breaks_while_it_is_folded_is_rebuilt(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        with sqlite3.connect(tmp_path / "graph" / "graph.sqlite", isolation_level=None) as other:
            other.execute('DROP TABLE "house/^Image"')
        appended = await store.append(image("later", "after the damage"))
        await views.graph_loop.wait_for(appended.revision.sequence, timeout=PATIENCE)
        assert views.graph.named == "sqlite-2"
        rows = await views.graph.fetch(Select(IMAGE, ("title",)))
        assert {"title": "after the damage"} in rows
        async with house(tmp_path / "again", store) as again:
            assert await again.graph.dump() == await views.graph.dump()


async def test_damage_that_a_reader_meets_is_rebuilt_beside(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store, keeping=True) as views:
        page = sqlite3.connect(tmp_path / "graph" / "graph.sqlite")
        (root,) = page.execute("SELECT rootpage FROM sqlite_master WHERE name = 'house/^Image'").fetchone()
        page.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page.close()
        with (tmp_path / "graph" / "graph.sqlite").open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(b"\x5a" * 4096)
        failed = 0
        async with asyncio.timeout(PATIENCE):
            while views.graph.named == "sqlite-1":
                try:
                    await views.graph.fetch(Select(IMAGE, ("title", "camera", "place")))
                    views.graph.in_use._inline.execute("PRAGMA shrink_memory")
                except PCloudError as error:
                    assert error.code == "UNAVAILABLE", error
                    failed += 1
                await asyncio.sleep(0.005)
        assert failed
        assert len(await views.graph.fetch(Select(IMAGE, ("title",)))) == COUNT * 3 // 10


class Another:
    """The same log under another epoch, shorter, or with another event at a place."""

    def __init__(self, store: EventStore, *, epoch: str = "", last: int = 0, changed: int = 0) -> None:
        self._store, self._last, self._changed = store, last, changed
        self.epoch = epoch or store.epoch

    async def last_sequence(self) -> int:
        return self._last or await self._store.last_sequence()

    async def read(self, first: int, last: int) -> AsyncIterator[Any]:
        async for event in self._store.read(first, min(last, await self.last_sequence())):
            yield self._other(event)

    async def read_batches(self, first: int, last: int) -> AsyncIterator[list[Any]]:
        async for events in self._store.read_batches(first, min(last, await self.last_sequence())):
            yield [self._other(event) for event in events]

    async def follow(self, after: int) -> AsyncIterator[list[Any]]:
        last = await self.last_sequence()
        async for events in self._store.follow(after):
            if wanted := [self._other(event) for event in events if event.sequence <= last]:
                yield wanted

    def _other(self, event: Any) -> Any:
        return msgspec.structs.replace(event, digest=event.digest + 1) if event.sequence == self._changed else event


@pytest.mark.parametrize("wrong", ["another epoch", "a log older than its views", "another event where they stand"])
async def test_a_view_of_another_log_is_rebuilt(
    store: EventStore, tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    end = max([event.sequence async for event in store.read(1, 1_000) if event.ends_transaction])
    before, log, reason = {
        "another epoch": (store, Another(store, epoch="restored"), "this is the log restored"),
        "a log older than its views": (store, Another(store, last=end), f"the log ends at {end}"),
        "another event where they stand": (Another(store, last=end), Another(store, last=end, changed=end), "is not the one"),
    }[wrong]  # fmt: skip
    async with house(tmp_path, before):
        pass
    async with house(tmp_path, log) as views:
        assert views.graph.checkpoint.epoch == log.epoch
        assert views.graph.checkpoint.sequence == await log.last_sequence()
        assert (await views.search.search(SearchQuery("sea", TITLES))).total
    assert reason in caplog.text, caplog.text


async def test_search_is_rebuilt_while_it_answers(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        before = (await views.search.search(SearchQuery("sea", TITLES, first=50))).total
        building = asyncio.create_task(views.search_rebuilds.rebuild())
        asked = 0
        while not building.done():
            assert (await views.search.search(SearchQuery("sea", TITLES, first=50))).total == before
            asked += 1
        rebuilt = await building
        assert (rebuilt.version, views.search.named, asked > 0) == ("tantivy-2", "tantivy-2", True)
        assert (await views.search.search(SearchQuery("sea", TITLES, first=50))).total == before
        await store.append(image("later", "the sea once more"))
        await views.up_to_date(store)
        assert (await views.search.search(SearchQuery("sea", TITLES, first=50))).total == before + 1
        await views.search_rebuilds.back()
        assert (await views.search.search(SearchQuery("sea", TITLES, first=50))).total == before + 1


@pytest.mark.parametrize("suffix", [".store", ".term", "meta.json", "missing"])
async def test_a_damaged_index_is_named_and_rebuilt(
    store: EventStore, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, store) as views:
        before = (await views.search.search(SearchQuery("sea", TITLES, first=50))).total
    folder = tmp_path / "search" / "index-1"
    path = next(one for one in folder.iterdir() if one.name.endswith(suffix if suffix != "missing" else ".idx"))
    if suffix == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 0x41
        path.write_bytes(data[: len(data) // 2] if suffix == "meta.json" else data)
    async with house(tmp_path, store) as views:
        assert views.search.named == "tantivy-2"
        assert (await views.search.search(SearchQuery("sea", TITLES, first=50))).total == before
    assert "damaged" in caplog.text


def test_the_house_has_searched_fields() -> None:
    assert HOUSE.types[IMAGE].fields["title"].search
