"""What was revoked and forgotten since the newest backup, as far as the log of this node says it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from core.graph.command import Commands
from core.node.backups.revocations import Forgotten, Revocations, cloud_of, revocations
from pcloud.event import StoredEvent
from pcloud.subject import Ref
from projections.directory import Changed, Directory

__all__ = ["RevokedSince"]


class ReadLog(Protocol):
    """The part of `eventstore.EventStore` that is needed."""

    @property
    def id_key(self) -> bytes: ...
    async def last_sequence(self) -> int: ...
    def read(self, first: int, last: int) -> AsyncIterator[StoredEvent]: ...


class RevokedSince:
    """Reads the log only once something was forgotten, or a decision changed, and then from where it has read to."""

    def __init__(self, log: ReadLog, directory: Directory, commands: Commands) -> None:
        self._log, self._directory = log, directory
        self._since = self._read_to = 0
        self._forgotten = Forgotten()
        self.changed = True  # since the last list was made
        commands.on_forgotten(self._on_forgotten)
        directory.on_changed(self._on_changed)

    async def list(self, since: int) -> Revocations:
        """All decisions as they are now, and what was forgotten after the sequence `since`."""
        if since != self._since:
            self._since = self._read_to = since
            self._forgotten = Forgotten()
        self.changed = False
        try:
            last = await self._log.last_sequence()
            async for event in self._log.read(self._read_to + 1, last):
                self._forgotten.read([event])
        except BaseException:
            self.changed = True
            raise
        self._read_to = last
        return revocations(cloud_of(self._log.id_key), self._directory, self._forgotten, since=since)

    async def _on_forgotten(self, _: Sequence[Ref]) -> None:
        self.changed = True

    def _on_changed(self, changed: Changed) -> None:
        if changed.touches("Owner", "Grant", "App"):
            self.changed = True
