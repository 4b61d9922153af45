"""Bounds how many answers one app has in memory at once: from reading the request's body until the client has taken the answer.

Further requests wait, which slows only their own app. Requests of the owner and of devices are not counted: they may wait for an app's
action, which itself sends requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from core.access.caller import Caller

__all__ = ["Turns"]


class Turns:
    """`most`: for each app; its pages have a bound of their own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: dict[tuple[str, str, str], tuple[asyncio.Semaphore, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, caller: Caller) -> AsyncGenerator[None]:
        if not caller.view_app:
            yield
            return
        key = (caller.kind, caller.name, caller.through)
        free, users = self._free.get(key) or (asyncio.Semaphore(self._most), 0)
        self._free[key] = free, users + 1
        try:
            async with free:
                yield
        finally:
            free, users = self._free.pop(key)
            if users > 1:
                self._free[key] = free, users - 1
