"""Lets work with the same key happen one after the other, in the order of arrival, and everything else in
parallel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

__all__ = ["KeyedOrder"]

Key = TypeVar("Key", bound=Hashable)


class KeyedOrder(Generic[Key]):
    """Holds one entry for each key in use."""

    def __init__(self) -> None:
        self._last: dict[Key, asyncio.Event] = {}

    @asynccontextmanager
    async def after_earlier(self, key: Key) -> AsyncGenerator[None]:
        """Wait until all that came earlier with this key have left."""
        earlier, mine = self._last.get(key), asyncio.Event()
        self._last[key] = mine
        try:
            if earlier is not None:
                await earlier.wait()
            yield
        finally:
            # If cancelled while waiting, it must not let a later one overtake the earlier one: `close` of the loop cancels all.
            mine.set()
            if self._last.get(key) is mine:
                del self._last[key]
