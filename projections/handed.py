"""Hands what one loop has folded to another loop that folds the same log after it, so that the log is read once, not
twice.

The following loop reads the log itself until it reaches what is handed over, and again whenever it is too slow for
that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from projections.loop import LogEntry, LogReader

__all__ = ["HandedLog"]

MOST = 2_000  # entries that are kept for the slower loop


E = TypeVar("E", bound=LogEntry)
E_co = TypeVar("E_co", bound=LogEntry, covariant=True)


class Ahead(Protocol[E_co]):
    """The part of the loop ahead that is needed here."""

    def on_applied(self, callback: Callable[[Sequence[E_co]], None], /) -> Callable[[], None]: ...


class HandedLog(Generic[E]):
    """A log as `projections.loop.ProjectionLoop` reads it. `store`: the log itself. `ahead`: the loop that reads it
    anyway."""

    def __init__(self, store: LogReader[E], ahead: Ahead[E], most: int = MOST) -> None:
        self._store, self._ahead, self._most = store, ahead, most

    @property
    def epoch(self) -> str:
        return self._store.epoch

    async def last_sequence(self) -> int:
        return await self._store.last_sequence()

    async def follow(self, after: int) -> AsyncGenerator[list[E], None]:
        """Everything after sequence `after`, in order, each once."""
        while True:
            handed: _Handed[E] = _Handed(self._most)
            stop = self._ahead.on_applied(handed.add)
            try:
                async with aclosing(self._store.follow(after)) as log:
                    async for entries in log:
                        yield entries
                        after = entries[-1].sequence
                        if handed.begins_by(after):
                            break
                while (entries := await handed.take()) is not None:
                    if new := [entry for entry in entries if entry.sequence > after]:
                        yield new
                        after = new[-1].sequence
            finally:
                stop()


class _Handed(Generic[E]):
    """The last batches; older ones are dropped when they become too many."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._batches: deque[Sequence[E]] = deque()
        self._arrived = asyncio.Event()
        self._lost = False

    def add(self, entries: Sequence[E]) -> None:
        self._batches.append(entries)
        self._count += len(entries)
        while self._count > self._most and len(self._batches) > 1:
            self._count -= len(self._batches.popleft())
            self._lost = True
        self._arrived.set()

    def begins_by(self, sequence: int) -> bool:
        """Return True if everything after `sequence` is here; from then on `take` reports losses."""
        self._lost = False
        return bool(self._batches) and self._batches[0][0].sequence <= sequence

    async def take(self) -> Sequence[E] | None:
        """The next batch; None if batches before it were lost."""
        while not self._batches:
            self._arrived.clear()
            await self._arrived.wait()
        if self._lost:
            return None
        entries = self._batches.popleft()
        self._count -= len(entries)
        return entries
