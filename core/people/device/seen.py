"""When each device was last heard of: noted in memory at each request, and recorded once a day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from core.access.caller import CORE
from core.graph.command import Commands, EntityChange
from pcloud.errors import PCloudError
from pcloud.subject import Ref
from projections.directory import Device, Directory

__all__ = ["LastSeen"]

log = logging.getLogger("pcloud.device")
RECORD_SECONDS = 86400.0
LOOK_SECONDS = 300.0


class LastSeen:
    """`keep` is its loop. A kill loses a day at most."""

    def __init__(self, directory: Directory, commands: Commands, clock: Callable[[], float] = time.time) -> None:
        self._directory, self._commands, self._clock = directory, commands, clock
        self._noted: dict[str, float] = {}
        self._began = time.monotonic()

    @property
    def listening(self) -> float:
        """For how many seconds this node has heard its devices; a clock that is set does not change it."""
        return time.monotonic() - self._began

    def note(self, id: str) -> None:
        """The device makes a request."""
        self._noted[id] = self._clock()

    def seen(self, device: Device) -> float:
        """Unix seconds; 0 for a device that was never heard of."""
        return max(device.seen, self._noted.get(device.id, 0.0))

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.record()
            except PCloudError as error:
                log.warning("when devices were last heard of can't be recorded: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def record(self) -> None:
        """Record those whose last record is a day old, in one transaction."""
        devices = self._directory.records.devices
        due = {
            id: at
            for id, at in self._noted.items()
            if (device := devices.get(id)) is not None and at >= device.seen + RECORD_SECONDS
        }
        if due:
            await self._commands.write(
                CORE.actor,
                [
                    EntityChange(Ref("core", "Device", id), "update", set={"seenAt": _time(at)})
                    for id, at in due.items()
                ],
            )
        self._noted = {id: at for id, at in self._noted.items() if id in devices}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
