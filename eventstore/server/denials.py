"""Follows what nats-server refuses its clients, in the server's log, the only place where it reports that.

If more is logged than is read, the older part is left out; so is what was rotated away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from pathlib import Path

from eventstore.server.nats_server_private import Denial, parse_denial
from eventstore.server.tail import Tail

__all__ = ["follow_denials"]

LOOK_SECONDS = 0.2
# The most that is read of the log at each look; it is not worth core's time to read a larger flood of denials.
LONGEST_LOOK = 512 * 1024


async def follow_denials(path: Path, *, look: float = LOOK_SECONDS) -> AsyncGenerator[list[Denial], None]:
    """Yield what is refused from now on, without end. Continues in the new file when the log is rotated."""
    reader = Tail(path, most=LONGEST_LOOK, newest=True)
    try:
        await asyncio.to_thread(reader.open)
        while True:
            lines = await asyncio.to_thread(reader.lines)
            if denials := gathered(parsed for line in lines if (parsed := parse_denial(line))):
                yield denials
            await asyncio.sleep(look)
    finally:
        reader.close()


def gathered(denials: Iterable[Denial]) -> list[Denial]:
    """Equal denials merged into one with their count, in the order of the first of each."""
    firsts: dict[Denial, Denial] = {}
    counts: Counter[Denial] = Counter()
    for denial in denials:
        key = replace(denial, time=0.0)
        firsts.setdefault(key, denial)
        counts[key] += 1
    return [replace(first, count=counts[key]) for key, first in firsts.items()]
