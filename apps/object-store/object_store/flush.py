"""Writes bytes to the disk: syncfs(2) of the store's file system, one call for all who wait.

weed acknowledges a PUT before its bytes are on the disk (kill -9 loses nothing, a power cut may). So the file system is
flushed before a client gets the answer to a write, before a webhook gets an object, and within a second after any other
write.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

__all__ = ["Flusher"]


class Flusher:
    """`run` is its loop. `lazy`: seconds within which a write is flushed if no task waits for it."""

    def __init__(self, folder: Path, *, lazy: float = 1.0) -> None:
        self._folder, self._lazy = folder, lazy
        self._dirty, self._urgent = asyncio.Event(), asyncio.Event()
        self._waiting = list[asyncio.Future[None]]()
        self.count = 0
        # Of its own: the loop's threads may all be busy with what waits for a flush.
        self._thread = ThreadPoolExecutor(1, "flush")

    def written(self) -> None:
        """Report a write: it will be flushed soon."""
        self._dirty.set()

    async def durable(self) -> None:
        """Wait for a flush that begins after this call."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._urgent.set()
        self._dirty.set()
        await future

    async def run(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while True:
                await self._dirty.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._lazy):
                        await self._urgent.wait()
                await self._flush(descriptor)
        finally:
            os.close(descriptor)
            self._thread.shutdown(wait=False)

    async def _flush(self, descriptor: int) -> None:
        waiting, self._waiting = self._waiting, []
        self._dirty.clear()
        self._urgent.clear()
        await asyncio.get_running_loop().run_in_executor(self._thread, _syncfs, descriptor)
        self.count += 1
        for future in waiting:
            if not future.done():
                future.set_result(None)


_libc = ctypes.CDLL(None, use_errno=True)


def _syncfs(descriptor: int) -> None:
    if not hasattr(_libc, "syncfs"):  # not Linux
        os.sync()
    elif _libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, f"the disk did not take what was written: {os.strerror(number)}")
