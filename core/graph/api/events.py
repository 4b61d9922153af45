"""Streams of events for subscriptions: new events as the graph folds them, and from `after` on without a gap.

The newest events are kept in memory. A subscriber that is further behind reads the log until it has caught up, so a slow subscriber
costs no memory. An event is handed out only after the local graph has folded it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from core.graph.api.history import HistoryReader
from pcloud.event import StoredEvent
from pcloud.subject import TypeName
from projections.checkpoint import Checkpoint

__all__ = ["EventHub", "FoldedEvents"]

KEPT = 2_000
CHUNK = 100


class FoldedEvents(Protocol):
    """The part of `projections.loop.ProjectionLoop` that this file uses."""

    @property
    def checkpoint(self) -> Checkpoint: ...
    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None], /) -> Callable[[], None]: ...
    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None: ...


class EventHub:
    """One per node; `close()` stops listening."""

    def __init__(self, log: HistoryReader, loop: FoldedEvents, *, kept: int = KEPT) -> None:
        self._log, self._loop = log, loop
        self._recent: deque[StoredEvent] = deque(maxlen=kept)
        self._floor = self._folded = loop.checkpoint.sequence  # events after the floor are all in `_recent`
        self._waiting: set[asyncio.Future[None]] = set()
        self._unsubscribe = loop.on_applied(self._applied)

    def close(self) -> None:
        self._unsubscribe()

    @property
    def folded(self) -> int:
        """The sequence up to which events have been handed out to waiting streams."""
        return self._folded

    def _applied(self, events: Sequence[StoredEvent]) -> None:
        overflow = len(self._recent) + len(events) - (self._recent.maxlen or 0)
        if overflow > 0:
            dropped = [*self._recent, *events][overflow - 1]
            self._floor = dropped.sequence
        self._recent.extend(events)
        self._folded = events[-1].sequence
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def stream(self, type: TypeName, after: int) -> AsyncIterator[list[StoredEvent]]:
        """Yield the events of one type after a sequence, in order, in chunks; waits for more and never ends."""
        await self._loop.wait_for(after)
        position = after
        while True:
            if position < self._floor:
                floor = self._floor
                async for chunk in self._from_log(type, position + 1, floor):
                    yield chunk
                position = floor
                continue
            newest = self._folded
            found = [e for e in self._after(position) if e.ref.app == type.app and e.ref.type == type.type]
            position = max(position, newest)
            for start in range(0, len(found), CHUNK):
                yield found[start : start + CHUNK]
            if position >= self._folded:
                await self._more()

    def _after(self, position: int) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        for event in reversed(self._recent):
            if event.sequence <= position:
                break
            found.append(event)
        found.reverse()
        return found

    async def _from_log(self, type: TypeName, first: int, last: int) -> AsyncIterator[list[StoredEvent]]:
        chunk: list[StoredEvent] = []
        async for event in self._log.read(first, last, subjects=(type.subjects,)):
            chunk.append(event)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _more(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
