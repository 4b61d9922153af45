"""A process that reads a stretch of the log for another one, which has enough to do with what it reads.

    python -m eventstore.reading_process

Standard input: one line of JSON that says where and what. Standard output: a length (4 bytes, big-endian) and so many bytes of packed
events, again and again; a length of 0 ends them. It ends when nobody reads it.
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
        batches = read_batches(connection, wanted.stream, wanted.first, wanted.last, wanted.subjects)
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
    except BrokenPipeError:  # nobody reads any more; an ordinary end would try to write the rest
        os._exit(1)


if __name__ == "__main__":
    gc.disable()  # nothing that it makes refers to itself, and looking for such takes a fifth of the time
    asyncio.run(main(msgspec.json.decode(sys.stdin.buffer.readline(), type=Stretch)))
