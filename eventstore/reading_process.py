"""A process that reads a stretch of the log for another process, which is busy folding it.

    python -m eventstore.reading_process

Standard input: one line of JSON with the server's address and the stretch. Standard output: repeatedly, a length (4
bytes, big-endian) and that many bytes of packed events; a length of 0 ends them. It ends when its output is closed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import aclosing

import msgspec

from eventstore.connection import open_connection
from eventstore.follow import read_batches
from eventstore.packed import Stretch, pack
from eventstore.wire import event_or_blank

__all__: list[str] = []


async def main(wanted: Stretch) -> None:
    async with open_connection(wanted.settings) as connection:
        batches = read_batches(connection, wanted.stream, wanted.first, wanted.last, wanted.subjects, patience=None)
        async with aclosing(batches):
            async for batch in batches:
                write(
                    pack([event_or_blank(one.sequence, one.time, one.subject, one.headers, one.body) for one in batch])
                )
    write(b"")


def write(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader is gone; a normal exit would try to write the rest
        os._exit(1)


if __name__ == "__main__":
    gc.disable()  # the events hold no reference cycles, and searching for them takes a fifth of the time
    asyncio.run(main(msgspec.json.decode(sys.stdin.buffer.readline(), type=Stretch)))
