"""`asOf`: finds the event of the log that a time or a revision stands for, and queues questions about the past."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from core.access.caller import Caller
from core.graph.api.history import HistoryReader
from core.graph.api.subscribe import read_position
from core.graph.schema.scalar import canonical_datetime
from pcloud.errors import Rejected, Unavailable

__all__ = ["PastTurns", "past_position"]

AT_ONCE = 2
WAITING = 32  # questions of one caller
LATEST = 9_000_000_000.0  # year 2255: the log counts nanoseconds in 64 bits, and misreads later times

_REVISION = re.compile(r"[0-9A-Za-z]+\.\d+", re.ASCII)


async def past_position(log: HistoryReader, as_of: str) -> int:
    """Return the sequence that a revision or an RFC 3339 time stands for: the last whole transaction up to it (up to the end of the
    time's millisecond, as histories give times). Raises `Rejected`."""
    if _REVISION.fullmatch(as_of):
        at, last = read_position(as_of, log.epoch), await log.last_sequence()
        if at > last:
            raise Rejected(f"`asOf` is revision {as_of}, and the log ends at {last}: give an earlier one")
    else:
        try:
            time = datetime.fromisoformat(canonical_datetime(as_of)).timestamp()
        except OverflowError as error:
            raise Rejected(f"`asOf` is {as_of[:60]!r}: its year in UTC must be from 1 to 9999") from error
        except ValueError as error:
            raise Rejected(f"`asOf` is {as_of[:60]!r}: {error}, or a revision") from error
        at = await log.sequence_at(min(max(time + 0.001, 0.0), LATEST)) - 1
    async for event in log.read(max(at, 1), at):
        if not event.ends_transaction:
            return at - event.ordinal
    return at


class PastTurns:
    """Bounds questions about the past, each of which folds its part of the log in memory: one at a time for each caller, `AT_ONCE` in
    all. Further questions wait; a caller with too many waiting questions is refused."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._callers: dict[tuple[str, str, str], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, caller: Caller) -> AsyncGenerator[None]:
        key = (caller.kind, caller.name, caller.through)
        turn, users = self._callers.get(key) or (asyncio.Lock(), 0)
        if users > WAITING:
            raise Unavailable(f"{WAITING} of your questions with `asOf` are waiting already: ask one after the other")
        self._callers[key] = turn, users + 1
        try:
            async with turn, self._free:
                yield
        finally:
            turn, users = self._callers.pop(key)
            if users > 1:
                self._callers[key] = turn, users - 1
