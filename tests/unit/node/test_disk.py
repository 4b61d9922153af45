"""The guard of the log: closed below the reserve, open again by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.node import disk
from core.node.disk import DiskGuard
from core.node.folder import DataFolder, open_folder
from pcloud.errors import Unavailable
from tests.waiting import PATIENCE

MB = 2**20


class Disk(DataFolder):
    """A folder on a disk with the room that a test sets."""

    free = 1000 * MB

    def free_bytes(self) -> int:
        return self.free


@pytest.fixture
def folder(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_below_the_reserve_writes_are_refused_with_the_reason(folder: Disk) -> None:
    guard = DiskGuard(folder, 256 * MB)
    guard.look()
    guard.check()
    folder.free = 255 * MB
    guard.look()
    with pytest.raises(Unavailable, match=r"255 MB free.*256 MB in reserve: make room"):
        guard.check()


async def test_guard_reopens_by_itself_once_there_is_room(folder: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOOK_SECONDS", 0.001)
    guard = DiskGuard(folder, 256 * MB)
    folder.free = 0
    async with asyncio.timeout(PATIENCE):
        watching = asyncio.create_task(guard.watch())
        while not guard.problem:
            await asyncio.sleep(0)
        folder.free = 256 * MB
        while guard.problem:
            await asyncio.sleep(0)
        watching.cancel()
    guard.check()


def test_a_node_does_not_start_on_a_disk_that_is_too_full(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="make room, then start again"), open_folder(tmp_path / "n", reserve=2**62):
        pass
    with open_folder(tmp_path / "n", reserve=0):  # the refusal has released the lock
        pass
