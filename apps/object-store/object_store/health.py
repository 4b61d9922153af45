"""What works now: everything, only reading and deleting, or nothing; and why.

weed may answer without storing anything, as when its volumes are read-only. It is probed at its start, after it failed to
store something, after the disk was full, and from then on until it stores again. Uploads are refused meanwhile. Its index of
names fails for good once it could not be written, so a weed that stores nothing although there is room is started again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from object_store.room import Room
from object_store.s3 import S3
from object_store.weed.server import Server
from pcloud.errors import Unavailable

__all__ = ["Health"]

log = logging.getLogger("object_store.health")

_LOOK_SECONDS = 5.0
_STUCK_SECONDS = 30.0, 600.0  # without storing anything, before the first start and at most before another one
_PAUSE_SECONDS = 0.5  # between two probes, however many writes fail
_ONLY_READS = "SeaweedFS reads and deletes, but stores nothing: uploads are refused until it does; see weed.log in the app's data folder"


class Health:
    """`run` is its loop. `tell` receives each change: the reason why something does not work, '' if all works; and whether the
    store answers calls all the same."""

    def __init__(self, server: Server, s3: S3, room: Room) -> None:
        self._server, self._s3, self._room = server, s3, room
        self.tell: Callable[[str, bool], None] = lambda reason, serves: None
        self._down = self._limited = ""
        self._told = "", True
        self._suspected = asyncio.Event()
        self._failing_since: float | None = None
        self._patience = _STUCK_SECONDS[0]
        server.on_ready = self._weed_says

    @property
    def why_read_only(self) -> str:
        """'' if weed stores what it gets."""
        return _ONLY_READS if self._server.only_reads else ""

    def suspect(self) -> None:
        """Report that weed did not store something."""
        self._suspected.set()

    async def run(self) -> None:
        """Run until cancelled."""
        self._told = "", True
        self._say()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._suspected.wait()
            if self._server.ready.is_set():
                await self._look()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _look(self) -> None:
        was_full = bool(self._limited)
        if self._server.only_reads or self._suspected.is_set() or was_full or self._failing_since is not None:
            self._suspected.clear()
            try:
                await self._s3.stores()
                self._server.only_reads, self._failing_since = False, None
                self._patience = _STUCK_SECONDS[0]
            except Unavailable as error:
                if self._server.ready.is_set():
                    log.warning("weed stores nothing: %s", error)
                    self._server.only_reads = await self._s3.answers()
                    self._start_again_if_stuck()
        self._limited = self.why_read_only or self._room.problem
        self._say()

    def _start_again_if_stuck(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._failing_since is None or self._room.problem:
            self._failing_since = now
        elif now - self._failing_since >= self._patience:
            log.warning(
                "weed has stored nothing for %.0f s although the disk has room: it is started again", self._patience
            )
            self._failing_since, self._patience = None, min(6 * self._patience, _STUCK_SECONDS[1])
            self._server.start_again()

    def _weed_says(self, reason: str) -> None:
        self._down, self._limited = reason, self.why_read_only or self._room.problem
        self._say()

    def _say(self) -> None:
        now = (self._down, False) if self._down else (self._limited, True)
        if now != self._told:
            self._told = now
            self.tell(*now)
