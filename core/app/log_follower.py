"""Reads an app's log on as it grows, over its turns to a new file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from core.app.log import tail

__all__ = ["follow"]

POLL = 0.2
PIECE = 256 * 2**10


async def follow(path: Path, lines: int) -> AsyncIterator[str | None]:
    """The newest lines, then each one that comes, for ever; None whenever there is nothing new for a moment, so that
    whoever reads can look whether anybody still listens."""
    reader = _Reader(path)
    try:
        for line in await asyncio.to_thread(reader.begin, lines):
            yield line
        while True:
            found = await asyncio.to_thread(reader.more)
            for line in found:
                yield line
            if not found:
                yield None
                await asyncio.sleep(POLL)
    finally:
        reader.close()


class _Reader:
    def __init__(self, path: Path):
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def begin(self, lines: int) -> list[str]:
        """The newest lines. The place to read on at is taken first, and what the tail has from beyond it is dropped."""
        if not self._path.exists():
            return []
        self._file = self._path.open("rb")
        end = self._file.seek(0, 2)
        found = tail(self._path, lines)
        with self._path.open("rb") as file:
            file.seek(end)
            beyond = file.read().count(b"\n")
        self._file.seek(end)
        return found[: len(found) - beyond] if beyond else found

    def more(self) -> list[str]:
        """Whole lines that were written since."""
        if self._file is None:
            if not self._path.exists():
                return []
            self._file = self._path.open("rb")
        data = self._file.read(PIECE)
        if not data and self._turned_over():
            # The old file has been read to its end, and nobody writes it any more.
            self.close()
            self._rest = b""
            return self.more()
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _turned_over(self) -> bool:
        assert self._file is not None
        try:
            return os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return False
