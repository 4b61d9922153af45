"""Reads a long stretch of the log by a process of its own: reading costs as much time as folding what was read, and there are two cores.

The process is a help, never a condition: where it fails, the rest is read here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec

from eventstore.packed import Stretch, unpack
from pcloud.event import StoredEvent

__all__ = ["WORTH_IT", "read_apart"]

log = logging.getLogger(__name__)
WORTH_IT = 20_000  # events: it takes half a second to start


async def read_apart(wanted: Stretch) -> AsyncGenerator[list[StoredEvent], None]:
    """The events, in lists; ends early, with a line in the log, when the process fails. The process ends with the generator."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "eventstore.reading_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        process.stdin.close()
        while size := int.from_bytes(await process.stdout.readexactly(4), "big"):
            yield unpack(await process.stdout.readexactly(size))
    except (asyncio.IncompleteReadError, OSError) as error:
        log.warning("the process that reads the log has ended (%s): reading on without it", error)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
