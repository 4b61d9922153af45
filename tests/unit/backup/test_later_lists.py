"""A damaged list beside the backups does not prevent a restore."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.backup.repository import Repository, StoredBackup
from core.backup.restore import later_lists
from core.node.backups.revocations import Revocations
from pcloud.errors import Corrupt, NotFound, Unavailable

TIMES = [f"2026-11-{day}T03:30:00Z" for day in (10, 11, 12, 13)]
GOOD = Revocations("mine", "owner", {}, [], {})


class ReadRepository(Repository):
    """Four backups of a day each; what reading the list of each gives."""

    def __init__(self, *lists: bytes | Exception) -> None:
        self._lists = dict(zip(TIMES, lists, strict=True))

    async def backups(self) -> list[StoredBackup]:
        return [StoredBackup(time, "mine", time, complete=True) for time in TIMES]

    async def read(self, backup: StoredBackup, path: str) -> Any:
        found = self._lists[backup.id]
        if isinstance(found, Exception):
            raise found
        return found


async def read(*lists: bytes | Exception) -> tuple[list[Revocations], list[str]]:
    repository = ReadRepository(b"", *lists)
    return await later_lists(repository, (await repository.backups())[0])


async def test_damaged_list_is_left_out_and_told() -> None:
    good = msgspec.json.encode(GOOD)
    assert await read(Corrupt("hash does not match"), good, b"{") == ([GOOD], [TIMES[1], TIMES[3]])
    assert await read(good, NotFound("an old backup"), good) == ([GOOD, GOOD], [])


async def test_list_that_can_t_be_fetched_now_ends_the_restore() -> None:
    """The network is away: a later run may read it."""
    with pytest.raises(Unavailable):
        await read(b"{", Unavailable("no route to host"), b"{")
