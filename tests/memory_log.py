"""A log in memory for core's own events, and the directory that folds them: for tests that need neither a server nor a graph."""

from __future__ import annotations

import time
from typing import Any

from core.graph.command import Commands
from core.graph.schema import builtin_catalog
from eventstore import Appended, Transaction
from pcloud.errors import Conflict
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.directory import Directory

__all__ = ["MemoryLog", "open_memory_directory"]


class MemoryLog:
    """Refuses what was decided on an old version, as the real one; the directory has a transaction as soon as it is stored."""

    epoch, id_key = "memory", b"k" * 32
    erasure: Any = None  # nothing is forgotten here

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.transactions: list[Transaction] = []
        self._versions: dict[Ref, int] = {}

    async def append(self, tx: Transaction, /) -> Appended:
        for event in tx.events:
            if self._versions.get(event.ref, 0) != event.expected:
                raise Conflict(f"{event.ref} is at another version")
        first = await self.last_sequence() + 1
        stored = [
            StoredEvent(
                first + number, time.time(), event.ref, event.kind, event.change, tx.tx, number + 1, len(tx.events), tx.actor,
                request=tx.request, result=tx.result,
            )
            for number, event in enumerate(tx.events)
        ]  # fmt: skip
        self._versions.update((event.ref, event.sequence) for event in stored)
        self.transactions.append(tx)
        await self.directory.apply(self.epoch, stored)
        return Appended(Revision(self.epoch, stored[-1].sequence), tuple(event.sequence for event in stored))

    async def last_sequence(self) -> int:
        return max(self._versions.values(), default=0)

    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None:
        """The directory is never behind."""

    async def check(self) -> None:
        """There is no graph that could be away."""


def open_memory_directory() -> tuple[Directory, Commands, MemoryLog]:
    """An empty directory with the commands that write its log."""
    directory = Directory(builtin_catalog())
    log = MemoryLog(directory)
    return directory, Commands(log, directory.graph, log, log), log
