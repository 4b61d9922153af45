"""Keeps a version that is written beside the one in use from using the disk's reserve, below which a node accepts
nothing new.

The space is checked before, by the size of the version in use, and during the writing, because the new version may be
larger and others write too. If it does not fit, it is abandoned; the projection in use goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["UNBOUNDED", "DiskSpace", "bytes_of"]

MB = 2**20
MARGIN = 64 * MB  # beside the reserve: for what is written between two checks, and for the log meanwhile
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """`free`: returns the disk's free bytes; `reserve`: the bytes that must stay free."""

    free: Callable[[], int]
    reserve: int

    def check(self, what: str, needed: int) -> None:
        """Raises `Unavailable` if `needed` bytes would not fit."""
        if self.free() < needed + self.reserve + MARGIN:
            raise Unavailable(
                f"there is no room for {what}, which is written beside the one in use: it takes about {needed // MB:,} MB, and "
                f"{(self.reserve + MARGIN) // MB:,} MB must stay free, {self.free() // MB:,} MB are free: make room and try again"
            )

    @asynccontextmanager
    async def kept(self, what: str) -> AsyncGenerator[None]:
        """End the work in this block with `Unavailable` before it reaches the reserve."""
        task, short = asyncio.current_task(), False
        assert task is not None

        async def watch() -> None:
            nonlocal short
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if self.free() < self.reserve + MARGIN:
                    short = True
                    task.cancel()
                    return

        cancelled = task.cancelling()
        watching = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if short and task.uncancel() <= cancelled:
                raise Unavailable(
                    f"{what} was abandoned because the disk ran short: {self.free() // MB:,} MB are free, and "
                    f"{self.reserve // MB:,} MB of it are kept in reserve; the one in use goes on: make room and try again"
                ) from None
            raise
        finally:
            watching.cancel()


UNBOUNDED = DiskSpace(lambda: 2**63, 0)


def bytes_of(folder: Path, pattern: str = "**/*") -> int:
    """The size of the files in it; files that vanish meanwhile don't count."""
    total = 0
    for path in folder.glob(pattern):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total
