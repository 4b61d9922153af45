"""Starts nats-server again after a full disk: a stream that could not be written once refuses every write from then on, with the
same words, though there is room again. Its log, which says so, is the only sign."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from eventstore.server.nats_server_private import tells_of_full_disk
from eventstore.server.tail import Tail

__all__ = ["restart_after_full_disk"]

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
LONGEST_LOOK = 64 * 1024
ROOM = 8 * 2**20  # free bytes with which a start is worth trying


async def restart_after_full_disk(server_log: Path, restart: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled. `restart` ends the server and has it started. Only what the server logs while there is room counts: by then
    it can write its log again."""
    reader = Tail(server_log, most=LONGEST_LOOK, newest=True)
    try:
        await asyncio.to_thread(reader.open)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            lines = await asyncio.to_thread(reader.lines)
            if any(map(tells_of_full_disk, lines)) and shutil.disk_usage(server_log.parent).free > ROOM:
                log.warning("nats-server refuses every write since the disk was full: it is started again")
                await restart()
    finally:
        reader.close()
