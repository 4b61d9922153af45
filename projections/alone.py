"""A lock that refuses instead of waiting: a projection must not be rebuilt twice at once."""

from __future__ import annotations

import asyncio

from pcloud.errors import Conflict

__all__ = ["Alone"]


class Alone:
    def __init__(self, lock: asyncio.Lock, name: str) -> None:
        """`name`: the projection's name."""
        self._lock, self._name = lock, name

    async def __aenter__(self) -> None:
        if self._lock.locked():
            raise Conflict(f"the view {self._name!r} is already being rebuilt: wait until that is done")
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
