"""Follows an app's log as it grows, across rotations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from core.apps.process.log import TAIL, last_lines, turned_over
from eventstore.server.tail import Tail

__all__ = ["follow"]

POLL = 0.2


async def follow(path: Path, lines: int) -> AsyncIterator[str | None]:
    """Yield the newest lines, then each new line, without end. Yields None if no line arrives for a moment, so that the
    caller can check whether its client is still connected."""
    reader = Tail(path, most=TAIL)
    try:
        for line in await asyncio.to_thread(newest, reader, path, lines):
            yield line
        while True:
            found = await asyncio.to_thread(reader.lines)
            for line in found:
                yield line
            if not found:
                yield None
                await asyncio.sleep(POLL)
    finally:
        reader.close()


def newest(reader: Tail, path: Path, lines: int) -> list[str]:
    """Return the newest lines, as `tail` does; the reader then continues exactly after them."""
    reader.open(TAIL)
    found, before = reader.lines(), turned_over(path)
    if not reader.reads(before):  # it was rotated just now, and holds the lines that were found
        found = [*last_lines(before, lines - len(found)), *found]
    return found[max(0, len(found) - lines) :]
