"""How many runs of one trigger, or of one app's durable calls, are in progress at once.

Live events come first: while one of them runs or waits, the trigger's history has a single slot. So a replay of years
never delays new events, and still makes progress."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

__all__ = ["Slots"]


class Slots:
    """First come, first served. `first`: the slots that have priority over these."""

    def __init__(self, limit: int, *, first: Slots | None = None) -> None:
        self._limit = limit
        self._first = first
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._behind: list[Slots] = []
        if first is not None:
            first._behind.append(self)

    @property
    def busy(self) -> bool:
        return self._running > 0 or bool(self._waiting)

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Wait for a slot and hold it for the block."""
        await self._acquire()
        try:
            yield
        finally:
            self._running -= 1
            self._admit()
            for other in self._behind:
                other._admit()

    async def _acquire(self) -> None:
        if not self._waiting and self._running < self._allowed():
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted at the moment of cancellation
                self._running -= 1
                self._admit()
            else:
                with suppress(ValueError):  # already skipped by a run that left at the same moment
                    self._waiting.remove(turn)
            raise

    def _allowed(self) -> int:
        return 1 if self._first is not None and self._first.busy else self._limit

    def _admit(self) -> None:
        while self._waiting and self._running < self._allowed():
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)
