"""Reads a stream in order, without gaps and without duplicates, from any sequence on, across reconnects and server
restarts.

Each reading has a consumer of its own that stores nothing. If its count of messages has a gap, or anything else is
doubtful, a new consumer is made that starts right after the last delivered message.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from eventstore.connection import ApiError, Connection
from eventstore.pull import ConsumerLost, Delivered, Puller
from pcloud.errors import PCloudError, Unavailable

__all__ = ["BATCH", "follow", "read", "read_batches"]

log = logging.getLogger("pcloud.log")
BATCH = 500
SECOND = 10**9
LATER = 0.05
AGAIN = 1.0
PATIENCE = 60.0  # seconds that a reader waits for which a caller waits


async def follow(
    connection: Connection, stream: str, after: int, subjects: Sequence[str]
) -> AsyncGenerator[list[Delivered], None]:
    """Yield the messages after sequence `after` in lists of those that are there, at most 500, then wait for more.
    Never ends by itself, and waits for a server that is away or refuses, however long that takes."""
    async with aclosing(_ordered(connection, stream, after, None, subjects, None)) as batches:
        async for batch in batches:
            yield batch


async def read(
    connection: Connection, stream: str, first: int, last: int, subjects: Sequence[str]
) -> AsyncGenerator[Delivered, None]:
    """Read from sequence `first` to `last`, both included, or to the stream's end if that comes first. Raises
    `Unavailable` if the server is silent or does not come back."""
    async with aclosing(read_batches(connection, stream, first, last, subjects)) as batches:
        async for batch in batches:
            for message in batch:
                yield message


async def read_batches(
    connection: Connection, stream: str, first: int, last: int, subjects: Sequence[str], *,
    patience: float | None = PATIENCE,
) -> AsyncGenerator[list[Delivered], None]:  # fmt: skip
    """Like `read`, in lists of at most 500. With `patience` None, it waits for the server like `follow`."""
    if first > last:
        return
    async with aclosing(_ordered(connection, stream, first - 1, last, subjects, patience)) as batches:
        async for batch in batches:
            yield batch


async def _ordered(
    connection: Connection, stream: str, after: int, last: int | None, subjects: Sequence[str], patience: float | None
) -> AsyncGenerator[list[Delivered], None]:
    """End after `last` or at the stream's end; with None, wait for more instead."""
    while True:
        name, pending = await _create(connection, stream, after, subjects, patience)
        try:
            if last is not None and pending == 0:
                return
            async with Puller(connection, stream, name, 2 * BATCH) as puller:
                place = 0
                while True:
                    batch = _unbroken(await puller.take(BATCH), place)
                    place, after = batch[-1].place, batch[-1].sequence
                    wanted = batch if last is None else [message for message in batch if message.sequence <= last]
                    if wanted:
                        yield wanted
                    if last is not None and (after >= last or batch[-1].pending == 0):
                        return
        except ConsumerLost:
            await asyncio.sleep(LATER)
        finally:
            await _delete(connection, stream, name)


def _unbroken(batch: list[Delivered], place: int) -> list[Delivered]:
    """The part that follows `place` without a gap; raises `ConsumerLost` if that is empty."""
    for index, message in enumerate(batch):
        if message.place != place + index + 1:
            if index == 0:
                raise ConsumerLost("a message is missing")
            return batch[:index]
    return batch


async def _create(
    connection: Connection, stream: str, after: int, subjects: Sequence[str], patience: float | None
) -> tuple[str, int]:
    """Return the consumer's name and the number of messages that it will deliver."""
    name = f"reader_{secrets.token_hex(8)}"
    config: dict[str, Any] = {
        "name": name,
        "description": "PCloud: a reading in order (a view, a subscription, a history); it stores nothing and expires by itself.",
        "metadata": {"pcloud_purpose": "reader"},
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": after + 1,
        "ack_policy": "none",
        "replay_policy": "instant",
        "max_deliver": 1,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 30 * SECOND,
        "filter_subjects": list(subjects),
    }
    refused = ""
    try:
        while True:
            try:
                info = await connection.api(
                    f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config}, patience=patience
                )
            except ApiError as error:
                problem = f"the stream {stream} can't be read: {error}"
                if patience is not None:
                    raise Unavailable(problem) from error
                if problem != refused:
                    log.error("%s; it is tried again and again", problem)
                refused = problem
                connection.report_unreadable(
                    name, f"{problem}; what is read from it is old until the log's server allows it again"
                )
                await asyncio.sleep(AGAIN)
            else:
                if refused:
                    log.warning("the stream %s can be read again", stream)
                return name, int(info["num_pending"])
    finally:
        connection.report_unreadable(name, "")


async def _delete(connection: Connection, stream: str, name: str) -> None:
    """Delete it now; it would expire half a minute later."""
    with suppress(ApiError, PCloudError):
        await connection.api(f"CONSUMER.DELETE.{stream}.{name}", patience=0.0)
