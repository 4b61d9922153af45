"""A version that is written beside the one in use never uses the disk's reserve: it is refused or abandoned, and the
old one goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eventstore import EventStore
from pcloud.errors import Unavailable
from projections import disk_space
from projections.disk_space import MARGIN, MB, DiskSpace
from projections.graph.contract import Select
from projections.versions import Chosen
from tests.contracts.projections.test_rebuild import IMAGE, House, house, image, store
from tests.waiting import PATIENCE

__all__ = ["store"]  # the fixture: a server with a log

RESERVE = 256 * MB


class Disk:
    """With as much room as a test says, from the start or after a number of checks."""

    def __init__(self) -> None:
        self.free, self.later, self.after = 1000 * MB, 1000 * MB, -1

    def __call__(self) -> int:
        if self.after == 0:
            self.free = self.later
        self.after -= 1
        return self.free


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(disk_space, "LOOK_SECONDS", 0.001)
    return Disk()


def versions(folder: Path) -> list[str]:
    return sorted(one.name for one in (*folder.glob("graph/*.sqlite"), *folder.glob("search/index-*/")))


async def goes_on(views: House, store: EventStore) -> None:
    await store.append(image("later", "after all that"))
    await views.up_to_date(store)
    assert {"title": "after all that"} in await views.graph.fetch(Select(IMAGE, ("title",)), patient=True)


@pytest.mark.parametrize("view", ["graph", "search"])
async def test_a_version_that_would_not_fit_is_not_begun(
    store: EventStore, tmp_path: Path, disk: Disk, view: str
) -> None:
    async with house(tmp_path, store, disk_space=DiskSpace(disk, RESERVE)) as views:
        rebuilds = views.rebuilds if view == "graph" else views.search_rebuilds
        before = rebuilds.chosen
        assert rebuilds.size > 0
        disk.free = RESERVE + MARGIN + rebuilds.size - 1
        with pytest.raises(Unavailable, match=r"no room for the version .*-2 of the view .*320 MB must stay free"):
            await rebuilds.rebuild()
        assert rebuilds.chosen == before and versions(tmp_path) == ["graph.sqlite", "index-1"]
        disk.free += MB
        await rebuilds.rebuild()
        disk.free = 0
        with pytest.raises(Unavailable, match="no room"):
            await rebuilds.back()
        assert rebuilds.chosen.previous == before.current
        await goes_on(views, store)


@pytest.mark.parametrize("view", ["graph", "search"])
async def test_a_version_that_grows_too_large_is_dropped_before_the_reserve(
    store: EventStore, tmp_path: Path, disk: Disk, view: str
) -> None:
    async with house(tmp_path, store, disk_space=DiskSpace(disk, RESERVE)) as views:
        rebuilds = views.rebuilds if view == "graph" else views.search_rebuilds
        disk.later, disk.after = RESERVE + MARGIN - 1, 2
        with pytest.raises(Unavailable, match=r"was abandoned because the disk ran short.*the one in use goes on"):
            await rebuilds.rebuild()
        assert versions(tmp_path) == ["graph.sqlite", "index-1"]
        assert rebuilds.chosen == Chosen(rebuilds.chosen.current)
        await goes_on(views, store)


async def test_a_half_built_version_that_can_not_be_finished_is_dropped(
    store: EventStore, tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, store, disk_space=DiskSpace(disk, RESERVE)) as views:
        building = asyncio.create_task(views.rebuilds.rebuild())
        async with asyncio.timeout(PATIENCE):
            while views.rebuilds.progress is None:
                await asyncio.sleep(0)
        views.rebuilds.stop()
        await asyncio.gather(building, return_exceptions=True)
        assert views.rebuilds.chosen.building == "sqlite-2"
    disk.free = RESERVE
    async with house(tmp_path, store, disk_space=DiskSpace(disk, RESERVE), keeping=True) as views:
        async with asyncio.timeout(PATIENCE):
            while views.rebuilds.chosen.building:
                await asyncio.sleep(0)
        await views.rebuilds.idle()
        assert versions(tmp_path) == ["graph.sqlite", "index-1"]
        await goes_on(views, store)
    assert "could not be rebuilt: there is no room" in caplog.text
