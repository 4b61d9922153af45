"""Deliveries that were pulled and are not settled: limited in number, each with its task, and reported to the server as
in progress again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

__all__ = ["Delivery", "HeldDeliveries"]


class Delivery(Protocol):
    """A message that is delivered again unless it is settled in time."""

    async def in_progress(self) -> None: ...


class HeldDeliveries:
    """`async with`: on leaving, cancel what is still in progress, unsettled."""

    def __init__(self, limit: int, ack_wait: float) -> None:
        self._limit, self._ack_wait = limit, ack_wait
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._deliveries: dict[Hashable, Delivery] = {}
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="keep what is held")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [self._keeper, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def take(self, key: Hashable, delivery: Delivery, work: Callable[[], Awaitable[None]]) -> None:
        """Begin `work` once there is room; do nothing if `key` is held already (its delivery was sent again too
        early)."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._tasks) < self._limit)
        if key in self._tasks:
            self._deliveries[key] = delivery
            return
        self._deliveries[key] = delivery
        self._tasks[key] = asyncio.create_task(self._run(key, work))

    async def empty(self) -> None:
        """Wait until nothing is held."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._tasks)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is held, at most this long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.empty()

    async def _run(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            del self._tasks[key], self._deliveries[key]
            async with self._changed:
                self._changed.notify_all()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            for delivery in list(self._deliveries.values()):
                await delivery.in_progress()
