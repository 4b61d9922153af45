"""A durable consumer of GRAPH: a place in the log that outlives its clients and is shared by all who pull from it.

Delivery is at least once: a message that is not acknowledged within `ack_wait` is delivered again, to any client that
pulls then. Messages that were pulled and wait here are kept from being delivered again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from eventstore.connection import ApiError, Connection, NoAnswer
from eventstore.pull import ConsumerLost, Delivered, Puller
from pcloud.errors import NotFound, PCloudError, Rejected, Unavailable

__all__ = ["Acknowledgeable", "ConsumerPosition", "DurableConsumer", "consumer_config", "ensure_consumer"]

SECOND = 10**9
NOT_FOUND = 10014
INVALID_RESET = 10204
FOR_EVER = "2200-01-01T00:00:00Z"
LATER = 0.05
NOW = "1970-01-01T00:00:00Z"

Content = TypeVar("Content")
_KINDS: Mapping[int, type[PCloudError]] = {NOT_FOUND: NotFound, INVALID_RESET: Rejected}


class ConsumerPosition(NamedTuple):
    """`delivered`: the newest sequence that was delivered; `ack_floor`: up to here, all messages are acknowledged;
    `ack_pending`: delivered and not acknowledged; `pending`: not delivered yet."""

    delivered: int
    ack_floor: int
    ack_pending: int
    pending: int


class Acknowledgeable:
    """A message that is delivered again unless it is settled in time. `attempt` counts from 1, over all clients."""

    __slots__ = ("_connection", "_reply", "attempt", "sequence")

    def __init__(self, connection: Connection, message: Delivered) -> None:
        self._connection = connection
        self._reply = message.reply
        self.attempt = message.attempt
        self.sequence = message.sequence

    async def ack(self) -> None:
        """Acknowledge it. If the acknowledgement is lost with the connection, the message comes again."""
        await self._answer(b"+ACK")

    async def nak(self, delay: float = 0.0) -> None:
        """Deliver it again in `delay` seconds."""
        await self._answer(b"-NAK" + (msgspec.json.encode({"delay": int(delay * SECOND)}) if delay > 0 else b""))

    async def in_progress(self) -> None:
        """Report progress: the time for acknowledging starts again."""
        await self._answer(b"+WPI")

    async def _answer(self, word: bytes) -> None:
        with suppress(NoAnswer):
            await self._connection.send(self._reply, word)


def consumer_config(
    name: str, subjects: Sequence[str], start: str | int, *, ack_wait: float, max_ack_pending: int, paused: bool,
    metadata: Mapping[str, str], description: str,
) -> dict[str, Any]:  # fmt: skip
    """JetStream's configuration; raises `Rejected` for an invalid `start`."""
    config: dict[str, Any] = {
        "durable_name": name,
        "name": name,
        "description": description,
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": int(ack_wait * SECOND),
        "max_ack_pending": max_ack_pending,
        "max_deliver": -1,
        "filter_subjects": list(subjects),
        "metadata": dict(metadata),
    }
    match start:
        case "new" | "all":
            config["deliver_policy"] = start
        case int():
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, start)}
        case _:
            raise Rejected(f"a consumer can't start at {start!r}: say 'new', 'all' or a sequence")
    if paused:
        config["pause_until"] = FOR_EVER
    return config


async def ensure_consumer(connection: Connection, stream: str, config: Mapping[str, Any]) -> None:
    """Make the consumer, or find it. A consumer that exists keeps its place and whether it is paused; its subjects,
    times and metadata are updated. Raises `Unavailable` if the server refuses."""
    name = config["name"]
    try:
        try:
            existing = (await connection.api(f"CONSUMER.INFO.{stream}.{name}"))["config"]
        except ApiError as error:
            if error.number != NOT_FOUND:
                raise
            wanted = config
        else:
            kept = {"deliver_policy", "opt_start_seq", "pause_until"}
            wanted = existing | {key: value for key, value in config.items() if key not in kept and key != "metadata"}
            wanted["metadata"] = (existing.get("metadata") or {}) | config["metadata"]
            if "filter_subject" in wanted:
                # The server stores a single subject in this form and refuses both at once.
                del wanted["filter_subject"]
            if wanted == existing:
                return
        await connection.api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": wanted})
    except ApiError as error:
        raise Unavailable(f"the consumer {name} of {stream} can't be made: {error}") from error


class DurableConsumer(Generic[Content]):
    """Found by `EventStore.consumer` and its siblings. Any number of processes may pull from the same consumer: each
    message goes to one of them."""

    def __init__(
        self, connection: Connection, stream: str, name: str, ack_wait: float,
        wrap: Callable[[Connection, Delivered], Content],
    ) -> None:  # fmt: skip
        self.name = name
        self._connection = connection
        self._stream = stream
        self._ack_wait = ack_wait
        self._wrap = wrap

    async def pull(self, batch: int = 64) -> AsyncGenerator[Content, None]:
        """Yield messages one by one, without end; at most `batch` wait here. Leaving the loop gives those back. Waits for
        a server that is away; raises `NotFound` if the consumer was deleted."""
        while True:
            try:
                async with Puller(self._connection, self._stream, self.name, batch) as puller:
                    keeper = asyncio.create_task(self._keep(puller))
                    try:
                        while True:
                            for message in await puller.take(1):
                                yield self._wrap(self._connection, message)
                    finally:
                        keeper.cancel()
                        await puller.stop()
                        for message in puller.drop():
                            await Acknowledgeable(self._connection, message).nak()
            except ConsumerLost:
                await asyncio.sleep(LATER)
                await self._api("INFO", patience=None)

    async def pause(self) -> None:
        """Deliver nothing more until `resume`, also after a restart."""
        await self._api("PAUSE", {"pause_until": FOR_EVER})

    async def resume(self) -> None:
        await self._api("PAUSE", {"pause_until": NOW})
        # Waiting clients would get their messages only at the next heartbeat. Any request wakes the server; this one
        # names a reply subject without a subscriber, so it receives nothing.
        nowhere = f"_INBOX.{secrets.token_hex(16)}"
        with suppress(NoAnswer):
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self.name}"
            await self._connection.send(subject, b'{"batch":1,"expires":1000000}', reply=nowhere)

    async def reset(self, sequence: int, *, patience: float = 60.0) -> None:
        """Go to `sequence`: that message is the next one. Waits up to `patience` seconds for unacknowledged deliveries,
        because a late acknowledgement would count for the new delivery. A paused consumer stays paused. Raises
        `Unavailable`."""
        was_paused = await self.paused()
        if not was_paused:
            await self.pause()
        try:
            await self._settled(patience)
            await self._api("RESET", {"seq": max(1, sequence)})
        finally:
            if not was_paused:
                await self.resume()

    async def position(self) -> ConsumerPosition:
        info = await self._api("INFO")
        return ConsumerPosition(
            int(info["delivered"]["stream_seq"]), int(info["ack_floor"]["stream_seq"]),
            int(info["num_ack_pending"]), int(info["num_pending"]),
        )  # fmt: skip

    async def paused(self) -> bool:
        return bool((await self._api("INFO")).get("paused"))

    async def delete(self) -> None:
        """Delete the consumer and its place; does nothing if it no longer exists."""
        with suppress(NotFound):
            await self._api("DELETE")

    async def _settled(self, patience: float) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience
        while (waiting := (await self.position()).ack_pending) > 0:
            if clock() >= deadline:
                raise Unavailable(f"{waiting} deliveries of {self.name} are still in progress: try again later")
            await asyncio.sleep(0.05)

    async def _keep(self, puller: Puller) -> None:
        """Report progress for messages that wait here, so that they are not delivered again before they are handled."""
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            for message in puller.buffered():
                await Acknowledgeable(self._connection, message).in_progress()

    async def _api(
        self, verb: str, request: Mapping[str, Any] | None = None, patience: float | None = 60.0
    ) -> dict[str, Any]:
        try:
            return await self._connection.api(f"CONSUMER.{verb}.{self._stream}.{self.name}", request, patience=patience)
        except ApiError as error:
            raise _KINDS.get(error.number, Unavailable)(
                f"the consumer {self.name} of {self._stream} refuses this: {error}"
            ) from error
