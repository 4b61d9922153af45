"""The machine's clock at a node's start. A Raspberry Pi has no clock of its own: it begins somewhere in the past, until it has asked
the network for the time.

A node that wrote then would give new events times before those of older ones: sessions that have ended as soon as they begin, idempotency
keys and records of runs that expire too early. So it only reads until the clock is right, for a quarter of an hour at most; what was
not acknowledged is still with its sender. If the kernel says that the clock is synchronized, it is right, and the log's times are wrong.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from eventstore import EventStore

__all__ = ["RELEASED", "Clock", "is_synchronized"]

log = logging.getLogger("pcloud.node")
# No clock that is right can be before it.
RELEASED = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
CLEARLY = 300.0  # seconds; clocks of machines that ask the network differ by less
LOOK_SECONDS = 1.0
LONGEST_SECONDS = 900.0
NOT_SYNCHRONIZED = 5  # TIME_ERROR of adjtimex(2)
TIMEX_BYTES = 512  # more than `struct timex` has anywhere


def is_synchronized() -> bool:
    """Return True if the kernel's clock follows the network, by whatever program; see adjtimex(2)."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    return state not in (-1, NOT_SYNCHRONIZED)


class Clock:
    """`trusted`: the owner says that the clock is right, whatever the log's times are."""

    def __init__(
        self,
        store: EventStore,
        *,
        trusted: bool,
        now: Callable[[], float] = time.time,
        synchronized: Callable[[], bool] = is_synchronized,
    ) -> None:
        self._store, self._trusted, self._now, self._synchronized = store, trusted, now, synchronized
        self._problem = ""

    async def look(self) -> None:
        """Hold all writes if the clock is wrong. Call it before anything is written."""
        self._newest = await self._store.newest_time()
        self._problem = self._wrong()
        if self._problem:
            log.error("%s", self._problem)
        self._store.hold_writes(self._problem)

    async def until_right(self) -> None:
        """Wait until the clock is right, for `LONGEST_SECONDS`, and let writes pass."""
        if not self._problem:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SECONDS):
                while self._wrong():  # noqa: ASYNC110 - nothing else tells when the clock is set
                    await asyncio.sleep(LOOK_SECONDS)
        if self._wrong():
            log.error(
                "the clock did not become right within %g minutes: the node goes on with it", LONGEST_SECONDS / 60
            )
        else:
            log.warning("the clock is right now, at %s: the node goes on", shown(self._now()))
        self._store.hold_writes("")

    def _wrong(self) -> str:
        """Return why the clock can't be right; '' if it can."""
        now = self._now()
        if self._trusted or now >= max(self._newest, RELEASED) - CLEARLY or self._synchronized():
            return ""
        what = "the newest event" if self._newest > RELEASED else "the release of this program"
        return (
            f"this machine's clock says {shown(now)}, and {what} is from {shown(max(self._newest, RELEASED))}: nothing is written, and "
            f"no app runs, until the clock is right, or for {LONGEST_SECONDS / 60:g} minutes; PCloud goes on by itself then. Connect the "
            "machine to the network, or set its clock (`sudo timedatectl set-ntp true`); if the clock is right and the log's time is "
            "wrong, start with --trust-clock"
        )


def shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
