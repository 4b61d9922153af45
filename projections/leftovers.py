"""Versions of a projection that are no longer in use: dropped once their last reader is done and their store is reachable."""

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
    """`read`: former versions in use that are still being read."""

    def __init__(self, stores: Mapping[str, VersionStore[Any]]) -> None:
        self._stores = stores
        self.read: set[str] = set()

    async def close(self, name: str, close: Close) -> None:
        """The close that runs once its readers are done."""
        try:
            await close()
        finally:
            self.read.discard(name)

    async def drop(self, name: str) -> None:
        """In a store that this node is not started with, it stays until the node is."""
        if (store := self._stores.get(kind_of(name))) is not None:
            await store.drop(name)

    async def drop_if_there(self, name: str) -> None:
        """If its store is away, the next start drops it."""
        try:
            await self.drop(name)
        except PCloudError as error:
            log.error("%s is dropped later: %s", name, error.message)

    async def drop_others(self, kept: Callable[[], Collection[str]]) -> None:
        """`kept` is called before each drop: while one version is dropped, another may be begun."""
        for store in self._stores.values():
            for name in await store.names():
                if name not in kept() and name not in self.read:
                    await self.drop_if_there(name)
