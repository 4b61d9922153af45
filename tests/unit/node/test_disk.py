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
    with pytest.raises(Unavailable, match=r"255 MB free.*256 MB in reserve: delete something"):
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


def test_deletions_are_stored_until_the_last_megabytes(folder: Disk) -> None:
    folder.free = 32 * MB
    guard = DiskGuard(folder, 256 * MB)
    guard.check(removes=True)
    with pytest.raises(Unavailable, match="delete something"):
        guard.check()
    folder.free = 31 * MB
    guard.look()
    with pytest.raises(Unavailable, match="31 MB free"):
        guard.check(removes=True)


def test_a_node_starts_below_the_reserve_and_not_in_the_last_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataFolder, "free_bytes", lambda _: 31 * MB)
    with (
        pytest.raises(Unavailable, match=r"31 MB free.*needs 32 MB.*then start again"),
        open_folder(tmp_path / "n", reserve=256 * MB),
    ):
        pass
    monkeypatch.setattr(DataFolder, "free_bytes", lambda _: 32 * MB)
    with open_folder(tmp_path / "n", reserve=256 * MB):  # the refusal has released the lock
        pass
