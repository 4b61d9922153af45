"""Gives the room of deleted objects back, by itself: has weed compact its volumes when the disk gets full.

weed keeps a deleted object's bytes until their volume is compacted: copied without them. By itself it compacts, every few
minutes, what is garbage by a third. That is too late and too little if the disk is nearly full, so this loop
then has the volume compacted that gives back the most, among those that can be copied into the room that is left.

While a copy for a rollback shares a volume's file, compacting it would take room and give none back. So the loop waits
until core drops that copy, which it does when the disk gets full.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

from object_store.room import MB, Room
from object_store.weed.volumes import Volume, Volumes
from pcloud.errors import Unavailable

__all__ = ["Compaction", "next_volume"]

log = logging.getLogger("object_store.compaction")

_LOOK_SECONDS = 5.0  # weed's master learns from its volume server as often what was deleted
_AGAIN_SECONDS = 60.0  # until a volume that weed could not compact has its next turn
_LEAST = MB // 4  # bytes of garbage for which a volume is copied while uploads are refused
_SPARE = 4 * MB


def next_volume(volumes: Iterable[Volume], free: int, reserve: int, done: Mapping[int, Volume]) -> Volume | None:
    """The volume to compact now, or None. `done`: by id, as each was before it was last compacted: weed's master shows
    it so for some seconds more."""

    def is_worth_it(volume: Volume) -> bool:
        least = _LEAST if free < reserve else max(volume.size // 10, _LEAST)
        return volume.garbage >= least and not volume.is_shared and done.get(volume.id) != volume

    able = [one for one in volumes if is_worth_it(one) and (one.is_empty or fits(one, free))]
    return max(able, key=lambda one: one.garbage, default=None)


def fits(volume: Volume, free: int) -> bool:
    """Return True if there is room for its copy; weed asks for the room of all that it has, garbage included."""
    return volume.size + _SPARE < free


class Compaction:
    """`connect`: opens weed's volumes. `ready`: set while weed works."""

    def __init__(
        self, room: Room, ready: asyncio.Event, connect: Callable[[], AbstractAsyncContextManager[Volumes]]
    ) -> None:
        self._room, self._ready, self._connect = room, ready, connect
        self._done = dict[int, tuple[Volume, float]]()  # with the time

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            if self._is_needed:
                try:
                    async with self._connect() as weed:
                        while self._is_needed:
                            if not await self._compact_one(weed):
                                await asyncio.sleep(_LOOK_SECONDS)
                except Unavailable as error:
                    log.warning("volumes can't be compacted now, trying again: %s", error)
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def _is_needed(self) -> bool:
        return self._ready.is_set() and self._room.free < 2 * self._room.reserve

    async def _compact_one(self, weed: Volumes) -> bool:
        """Return True if there was one to compact."""
        free, volumes, now = self._room.free, await weed.all(), time.monotonic()
        self._done = {id: done for id, done in self._done.items() if now - done[1] < _AGAIN_SECONDS}
        done = {id: volume for id, (volume, _) in self._done.items()}
        volume = next_volume(volumes, free, self._room.reserve, done)
        if volume is None:
            return False
        self._done[volume.id] = volume, now
        await weed.compact(volume, copying=fits(volume, free))
        await asyncio.to_thread(self._room.measure)
        log.info("compacted volume %s of %s: %s MB were garbage", volume.id, volume.bucket, volume.garbage // MB)
        return True
