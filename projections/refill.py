"""Folds a stretch of the log into a projection, fast: reads the next batches while one is folded, and keeps only those in
memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from projections.checkpoint import Checkpoint

__all__ = ["BULK", "Filled", "RefillLog", "refill"]

BULK = 2_000
"""About as many events are folded in one transaction of the store: slower for those who wait, and cheaper for each
event."""
AHEAD = 2


class RefillLog(Protocol):
    """The part of `eventstore.EventStore` that is needed."""

    @property
    def epoch(self) -> str: ...
    async def last_sequence(self) -> int: ...
    def read(self, first: int, last: int) -> AsyncIterator[Any]: ...
    def read_batches(self, first: int, last: int) -> AsyncGenerator[list[Any], None]: ...


class Filled(Protocol):
    """The part of a projection that is needed; see `projections.loop.Projection`."""

    @property
    def checkpoint(self) -> Checkpoint: ...
    async def apply(self, epoch: str, events: Sequence[Any], /) -> Checkpoint: ...


async def refill(
    log: RefillLog, projection: Filled, last: int, folded: Callable[[int, int], None] = lambda n, at: None
) -> None:
    """Fold what `projection` lacks, up to `last`, where a transaction must end. `folded` is called with the number of events
    and the sequence reached."""
    first = projection.checkpoint.sequence + 1
    if first > last:
        return
    ready: asyncio.Queue[list[Any]] = asyncio.Queue(AHEAD)
    reader = asyncio.create_task(_read(log, first, last, ready))
    try:
        while batch := await ready.get():
            await projection.apply(log.epoch, batch)
            folded(len(batch), batch[-1].sequence)
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(log: RefillLog, first: int, last: int, ready: asyncio.Queue[list[Any]]) -> None:
    """Puts whole transactions; at the end, or on a failure, an empty list."""
    batch: list[Any] = []
    try:
        async with aclosing(log.read_batches(first, last)) as found:
            async for events in found:
                batch += events
                if len(batch) >= BULK and (end := _whole(batch)):
                    await ready.put(batch[:end])
                    del batch[:end]
    except Exception:
        await ready.put([])
        raise
    if batch:
        await ready.put(batch)
    await ready.put([])


def _whole(events: list[Any]) -> int:
    """How many of the first events end with a transaction: with its last member, or before another one's (a purge may
    have removed its end)."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].ends_transaction or (index + 1 < len(events) and events[index + 1].tx != events[index].tx):
            return index + 1
    return 0
