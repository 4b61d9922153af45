"""A process that reads a stretch of the log for another one, which has enough to do with what it reads.

    python -m eventstore.reading_process

Standard input: one line of JSON that says where and what. Standard output: a length (4 bytes, big-endian) and so many bytes of packed
events, again and again; a length of 0 ends them. It ends when nobody reads it.
"""

from __future__ import annotations

import asyncio
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
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.stdin.buffer.readline(), type=Stretch)))
