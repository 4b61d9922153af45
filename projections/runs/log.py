"""The stream RUNS as a log that a projection loop can read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from eventstore import EventStore

__all__ = ["FORGOTTEN", "RunEntry", "RunLog"]

# The action and id for which an empty body means that all runs of an app are forgotten; no run has such an id.
FORGOTTEN = ("forgotten", "all")


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One message of RUNS at `time` (seconds since 1970); an empty `body` removes the run."""

    sequence: int
    subject: str
    time: float
    body: bytes

    @property
    def tx(self) -> str:
        return str(self.sequence)

    @property
    def ends_transaction(self) -> bool:
        return True


class RunLog:
    """Runs belong to the log of events, so they share its epoch."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    @property
    def epoch(self) -> str:
        return self._store.epoch

    async def last_sequence(self) -> int:
        return await self._store.runs.last_sequence()

    async def follow(self, after: int) -> AsyncGenerator[list[RunEntry], None]:
        async with aclosing(self._store.runs.follow(after)) as batches:
            async for states in batches:
                yield [RunEntry(*state) for state in states]
