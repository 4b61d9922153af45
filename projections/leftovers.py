"""Versions of a view that nobody is to ask any more: dropped when their last reader is done, and their store is there."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from pcloud.errors import PCloudError
from projections.versions import VersionStore, kind_of

__all__ = ["Close", "Leftovers"]

log = logging.getLogger("pcloud.view")
Close = Callable[[], Awaitable[None]]


class Leftovers:
    """`read`: those that were in use, and are still read from."""

    def __init__(self, stores: Mapping[str, VersionStore[Any]]) -> None:
        self._stores = stores
        self.read: set[str] = set()

    async def close(self, name: str, close: Close) -> None:
        """By what closes it once its readers are done."""
        try:
            await close()
        finally:
            self.read.discard(name)

    async def drop(self, name: str) -> None:
        """In a store that this node is not started with it stays until it is."""
        if (store := self._stores.get(kind_of(name))) is not None:
            await store.drop(name)

    async def drop_if_there(self, name: str) -> None:
        """Where its store is away, the next start drops it."""
        try:
            await self.drop(name)
        except PCloudError as error:
            log.error("%s is dropped later: %s", name, error.message)

    async def drop_others(self, kept: Callable[[], Collection[str]]) -> None:
        """`kept` is asked before each is dropped: while one goes, another may be begun."""
        for store in self._stores.values():
            for name in await store.names():
                if name not in kept() and name not in self.read:
                    await self.drop_if_there(name)
