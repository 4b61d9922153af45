"""Checks whether a projection stands on a log: the same epoch, not beyond its end, and the same event where it stopped.

Otherwise the projection belongs to another log, such as one that was restored, and folding on would silently mix the two.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol, runtime_checkable

from pcloud.errors import Unavailable
from projections.checkpoint import Checkpoint

__all__ = ["Behind", "EventLog", "PositionLog", "check_follows", "misplaced"]


class Behind(Unavailable):
    """A projection's checkpoint lies before what it was given to fold: read the log again from the checkpoint."""


class PositionLog(Protocol):
    @property
    def epoch(self) -> str: ...
    async def last_sequence(self) -> int: ...


@runtime_checkable
class EventLog(PositionLog, Protocol):
    def read(self, first: int, last: int) -> AsyncGenerator[Any, None]: ...


async def misplaced(log: PositionLog | EventLog, at: Checkpoint) -> str:
    """Why a projection at this position can't continue with this log; '' if it can, or is empty.

    The event at which it stopped is compared by its digest; if it has been purged since, only the other two checks
    count.
    """
    if not at.epoch:
        return ""
    if at.epoch != log.epoch:
        return f"it was folded from the log {at.epoch}, and this is the log {log.epoch}"
    last = await log.last_sequence()
    if at.sequence > last:
        return f"it stands at event {at.sequence}, and the log ends at {last}"
    if at.tip and isinstance(log, EventLog):
        async for event in log.read(at.sequence, at.sequence):
            if event.digest != at.tip:
                return f"event {at.sequence} of the log is not the one that it was folded from"
    return ""


async def check_follows(log: PositionLog | EventLog | None, at: Checkpoint, first: int) -> None:
    """Raises `Behind` if the log has events between the projection's position and event `first`; a gap in the log itself is
    fine."""
    if first > at.sequence + 1 and isinstance(log, EventLog):
        async with aclosing(log.read(at.sequence + 1, first - 1)) as between:
            async for event in between:
                raise Behind(
                    f"a view stands at event {at.sequence}, and was to fold event {first} with event {event.sequence} left out: "
                    "the log is read again from there"
                )
