"""The parts of the log and of the projections' loops that commands use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from eventstore import Appended, Transaction
from eventstore.erasure import Erasure
from pcloud.event import StoredEvent

__all__ = ["FoldingLoop", "ForgettingLog", "GraphLoop", "ReadableLog", "UndoLog", "WritableLog"]


class ReadableLog(Protocol):
    """Reads the past; `eventstore.EventStore` is one, and one of each kind of log below."""

    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...


class UndoLog(ReadableLog, Protocol):
    """What undoing reads."""

    @property
    def epoch(self) -> str: ...
    async def last_sequence(self) -> int: ...


class ForgettingLog(Protocol):
    """What forgetting appends and purges."""

    @property
    def epoch(self) -> str: ...
    @property
    def erasure(self) -> Erasure: ...
    async def append(self, tx: Transaction, /) -> Appended: ...
    async def last_sequence(self) -> int: ...


class WritableLog(ForgettingLog, Protocol):
    """What all commands need. `id_key`: the secret from which ids of types with an `@id` field are derived."""

    @property
    def id_key(self) -> bytes: ...


class FoldingLoop(Protocol):
    """Waits until a projection has folded the log; `projections.loop.ProjectionLoop` is one."""

    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None: ...


class GraphLoop(FoldingLoop, Protocol):
    """Waits for the apps' types; `projections.graph.away.PatientLoop` is one."""

    async def check(self) -> None:
        """Raises `Unavailable` if what is written to the apps' types could not be shown now."""
        ...
