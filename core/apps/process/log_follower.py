"""Reads an app's log on as it grows, over its turns to a new file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from core.apps.process.log import TAIL, last_lines, turned_over
from eventstore.server.tail import Tail

__all__ = ["follow"]

POLL = 0.2


async def follow(path: Path, lines: int) -> AsyncIterator[str | None]:
    """The newest lines, then each one that comes, for ever; None whenever there is nothing new for a moment, so that
    whoever reads can look whether anybody still listens."""
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
    """What is there now, as `tail` has it; the reader goes on after exactly these."""
    reader.open(TAIL)
    found, before = reader.lines(), turned_over(path)
    if not reader.reads(before):  # it was turned over just now, and is what was found
        found = [*last_lines(before, lines - len(found)), *found]
    return found[max(0, len(found) - lines) :]
