"""The guard before the log: closed below the reserve, open again by itself, and reading goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.node import disk
from core.node.disk import GuardedLog
from core.node.folder import DataFolder, open_folder
from eventstore import Transaction
from pcloud.errors import Unavailable
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref

MB = 2**20


class Disk(DataFolder):
    """A folder on a disk with as much room as a test says."""

    free = 1000 * MB

    def free_bytes(self) -> int:
        return self.free


class Log:
    epoch = "e1"
    id_key = b"k" * 32

    def __init__(self) -> None:
        self.appended: list[Transaction] = []

    async def append(self, transaction: Transaction) -> Any:
        self.appended.append(transaction)

    async def last_sequence(self) -> int:
        return len(self.appended)


@pytest.fixture
def folder(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def log() -> Log:
    return Log()


WRITE = Transaction("0" * 32, (Event(Ref("notes", "Note", "n1"), Kind.CREATED, Change()),), "owner")


async def test_below_the_reserve_a_write_is_refused_with_the_reason_and_reading_goes_on(folder: Disk, log: Log) -> None:
    guard = GuardedLog(log, folder, 256 * MB)  # type: ignore[arg-type]
    guard.look()
    await guard.append(WRITE)
    folder.free = 255 * MB
    guard.look()
    with pytest.raises(Unavailable, match=r"255 MB free.*256 MB in reserve: make room"):
        await guard.append(WRITE)
    assert len(log.appended) == 1 and await guard.last_sequence() == 1 and guard.epoch == "e1"


async def test_it_goes_on_by_itself_once_there_is_room(folder: Disk, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(disk, "LOOK_SECONDS", 0.001)
    guard = GuardedLog(log, folder, 256 * MB)  # type: ignore[arg-type]
    folder.free = 0
    async with asyncio.timeout(10):
        watching = asyncio.create_task(guard.watch())
        while not guard.problem:
            await asyncio.sleep(0)
        folder.free = 256 * MB
        while guard.problem:
            await asyncio.sleep(0)
        watching.cancel()
    await guard.append(WRITE)
    assert len(log.appended) == 1


def test_a_node_does_not_start_on_a_disk_that_is_too_full(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="make room, then start again"), open_folder(tmp_path / "n", reserve=2**62):
        pass
    with open_folder(tmp_path / "n", reserve=0):  # the refusal has given the lock back
        pass
