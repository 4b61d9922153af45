"""Which of the stored backups are used, and which are thinned out."""

from __future__ import annotations

from typing import Any

import msgspec

from core.backup.place import parse_place
from core.backup.repository import Repository

SUMMER, WINTER, LATER = (
    "2026-10-25T02:52:49.123456789+02:00",
    "2026-10-25T02:10:00.987654321+01:00",
    "2026-10-25T01:20:00.5Z",
)


class ListedRepository(Repository):
    """A place with these snapshots; `run` has restic's commands."""

    def __init__(self, *snapshots: dict[str, Any]) -> None:
        super().__init__(parse_place("/mnt/disk"), "secret")
        self._snapshots = snapshots
        self.run: list[tuple[str, ...]] = []

    async def exists(self) -> bool:
        return True

    async def _run(self, *arguments: str, **_: Any) -> bytes:
        self.run.append(arguments)
        if arguments[0] == "backup":
            return b""
        return msgspec.json.encode(self._snapshots)


def snapshot(time: str, *tags: str) -> dict[str, Any]:
    return {"id": time, "hostname": "pcloud-mine", "time": time, "tags": tags}


async def test_backups_are_in_the_order_of_their_moments_whatever_zone_the_clock_had() -> None:
    """Their texts are in another order: the clock was set back meanwhile."""
    repository = ListedRepository(*(snapshot(time, "complete") for time in (LATER, SUMMER, WINTER)))
    assert [one.time for one in await repository.backups()] == [SUMMER, WINTER, LATER]
    assert (await repository.newest()).time == LATER


async def test_only_backups_cut_before_the_newest_are_removed() -> None:
    repository = ListedRepository(snapshot(SUMMER), snapshot(WINTER, "complete"), snapshot(LATER))
    await repository.thin_out("mine", 7, 4, 12)
    assert ("forget", SUMMER) in repository.run
