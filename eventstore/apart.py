"""Reads a long stretch of the log in a process of its own. Reading takes as long as folding what was read, and the
machine has two cores.

The process is optional: if it fails, this process reads the rest.
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
WORTH_IT = 20_000  # events; starting the process takes half a second


async def read_apart(wanted: Stretch) -> AsyncGenerator[list[StoredEvent], None]:
    """Yield the events in lists. If the process fails, log that and end early. The process ends with the generator."""
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
