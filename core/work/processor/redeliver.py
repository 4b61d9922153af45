"""Has a consumer redeliver at once what was in progress when core died, instead of after the time for
acknowledging.

JetStream has no query for the pending messages, but it accepts a negative acknowledgement for any
sequence and ignores those that are not pending. So everything between the acknowledgement floor and the last delivered
message is given back. Only if no other node pulls: that node's messages would be given back too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from eventstore import EventStore
from pcloud.errors import Unavailable

__all__ = ["redeliver_pending"]

DIRECT = 10_000


async def redeliver_pending(store: EventStore, stream: str, consumer: str, subject: str) -> int:
    """Give back the pending messages; return their number. `subject`: the consumer's filter."""
    try:
        # Shielded: before Python 3.12 the wait_for inside may swallow the caller's cancellation.
        info = await asyncio.shield(store.js.consumer_info(stream, consumer))
    except NotFoundError:
        return 0
    except NatsError as error:
        raise Unavailable(f"the consumer {consumer} can't be inspected: {error!r}") from error
    pending = info.num_ack_pending or 0
    if not pending or info.ack_floor is None or info.delivered is None:
        return 0
    first, last = info.ack_floor.stream_seq + 1, info.delivered.stream_seq
    sequences: Iterable[int] = range(first, last + 1)
    if last - first > DIRECT and stream == "GRAPH":
        sequences = [event.sequence async for event in store.read(first, last, subjects=[subject])]
    place, now = info.delivered.consumer_seq, time.time_ns()
    for sequence in sequences:
        await _sent(store.nats.publish(f"$JS.ACK.{stream}.{consumer}.1.{sequence}.{place}.{now}.0", b"-NAK"), consumer)
    await _sent(asyncio.shield(store.nats.flush()), consumer)
    return pending


async def _sent(sending: Awaitable[None], consumer: str) -> None:
    try:
        await sending
    except NatsError as error:
        raise Unavailable(f"deliveries of {consumer} can't be given back: {error!r}") from error
