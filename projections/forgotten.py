"""Removes what is forgotten from every version of a projection, not only from the one in use.

    previous   closed, so it would keep the forgotten data: dropped before the `forgotten` event is folded
    building   folds the event itself, like the one in use
    in use     deletes it; if a store's files keep deleted bytes, it is rebuilt beside a while later

This is written down before the event is folded: after a crash, the next start, or folding the event again, does the
rest. A version that has folded such an event is not kept as the previous one, so a rebuild leaves no trace of what was
forgotten before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Protocol

from msgspec.structs import replace

from pcloud.errors import PCloudError
from pcloud.event import Kind
from projections.refill import RefillLog
from projections.versions import Chosen, VersionStore, kind_of

__all__ = ["Traces", "forgets", "forgotten_between"]

log = logging.getLogger("pcloud.view")
REBUILD_AFTER = 600.0  # seconds; what is forgotten meanwhile is removed by the same rebuild


def forgets(events: Iterable[Any]) -> bool:
    """Return True if these events forget something."""
    return any(event.kind is Kind.FORGOTTEN for event in events)


async def forgotten_between(source: RefillLog, after: int, last: int) -> bool:
    """Return True if the log has a `forgotten` event there: a new version may be ahead of the one in use, which then
    has not folded it."""
    if after >= last:
        return False
    async with aclosing(source.read_batches(after + 1, last)) as found:
        async for events in found:
            if forgets(events):
                return True
    return False


class Versions(Protocol):
    """The part of `Rebuilds` that is needed."""

    @property
    def chosen(self) -> Chosen: ...
    def choose(self, chosen: Chosen) -> None: ...
    async def drop(self, name: str) -> None: ...


class Traces:
    """The traces of one projection. `closing`: True while the previous version is still being read; its closing then drops
    it."""

    def __init__(self, versions: Versions, store: Callable[[str], VersionStore[Any] | None]) -> None:
        """`store`: the store of a kind, if it exists."""
        self._versions, self._store = versions, store
        self._left = asyncio.Event()
        self.closing = False
        if self.in_use:
            self._left.set()

    @property
    def in_use(self) -> bool:
        """Return True if the version in use may hold some."""
        return self._versions.chosen.current in self._versions.chosen.traces

    async def before_folding(self) -> None:
        """Call it before a `forgotten` event is folded, while the projection does not change."""
        before = self._versions.chosen
        after = replace(before, previous="", traces=tuple(sorted({before.current, before.building} - {""})))
        if after != before:
            self._versions.choose(after)
        if before.previous and not self.closing:
            try:
                await self._versions.drop(before.previous)
            except PCloudError as error:
                log.error("%s goes once its store is there: %s", before.previous, error.message)
        self._left.set()

    async def keep_clean(self, rebuild: Callable[[], Awaitable[Any]]) -> None:
        """Until cancelled: rebuild the projection if its files keep deleted data."""
        while True:
            await self._left.wait()
            self._left.clear()
            store = self._store(kind_of(self._versions.chosen.current))
            if store is None or not store.keeps_deleted:
                continue
            await asyncio.sleep(REBUILD_AFTER)
            if self.in_use:
                log.info("%s is rebuilt without what was forgotten", self._versions.chosen.current)
                await rebuild()
            if self.in_use:
                self._left.set()
