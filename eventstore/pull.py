"""Pulls messages of one JetStream consumer: asks for more before the last ones are used up, and never for more than
fit.

All reading uses this loop: the ordered reading of a log, and the durable consumers of triggers and queues. It does not
interpret messages. At most `batch` messages are requested or waiting here at any time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import nats.errors
from nats.aio.msg import Msg

from eventstore.connection import Connection, NoAnswer

__all__ = ["ConsumerLost", "Delivered", "Puller"]

STOP_PATIENCE = 2.0
EXPIRES = 60.0
HEARTBEAT = 5.0
# One request never returns more bytes than this; a single message is never larger than half of it.
MAX_BYTES = 8 * 2**20
SECOND = 10**9


class ConsumerLost(Exception):
    """The consumer is gone, silent, or was reached over a connection that broke: check it, then pull again."""


class Delivered(NamedTuple):
    """`attempt` from 1, `sequence` in the stream, `place` in the consumer's own count, `time` in seconds since 1970,
    `pending`: the number of messages left, `reply`: the subject for the acknowledgement."""

    subject: str
    headers: dict[str, str] | None
    body: bytes
    reply: str
    attempt: int
    sequence: int
    place: int
    time: float
    pending: int


class Puller:
    """Use as `async with`; `take` returns what has arrived."""

    def __init__(self, connection: Connection, stream: str, consumer: str, batch: int) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = f"_INBOX.{secrets.token_hex(16)}"
        self._batch = batch
        self._ready: deque[Delivered] = deque()
        self._asked = 0  # requested and not yet arrived
        self._requests = 0
        self._wake = asyncio.Event()
        self._lost: str | None = None
        self._stopped = False
        self._heard = False

    async def __aenter__(self) -> Self:
        self._forget = self._connection.on_reconnect(lambda: self._lose("the connection broke"))
        try:
            self._subscription = await self._connection.subscribe(f"{self._inbox}.*", self._on_message)
        except NoAnswer as error:
            self._forget()
            raise ConsumerLost(str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        await self.stop()

    async def stop(self) -> None:
        """Request nothing more, and wait until every requested message has arrived; a second call does nothing."""
        self._lost = self._lost or "it was stopped"
        if self._stopped:
            return
        self._stopped = True
        with suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                await self._subscription.drain()

    async def take(self, most: int) -> list[Delivered]:
        """At least one message, at most `most`; waits for the first. Raises `ConsumerLost` once all earlier messages
        are taken."""
        while not self._ready:
            if self._lost is not None:
                raise ConsumerLost(self._lost)
            await self._ask_for_more()
            self._wake.clear()
            self._heard = False
            try:
                async with asyncio.timeout(2.5 * HEARTBEAT):
                    await self._wake.wait()
            except TimeoutError:
                if not self._heard:
                    self._lose("the server is silent")
        count = min(most, len(self._ready))
        taken = [self._ready.popleft() for _ in range(count)]
        if self._lost is None:
            await self._ask_for_more()
        return taken

    def buffered(self) -> tuple[Delivered, ...]:
        """The number of messages that have arrived and are not taken yet."""
        return tuple(self._ready)

    def drop(self) -> list[Delivered]:
        """Take everything without waiting, and request nothing more."""
        dropped = list(self._ready)
        self._ready.clear()
        return dropped

    async def _ask_for_more(self) -> None:
        room = self._batch - self._asked - len(self._ready)
        if room <= 0 or room < self._batch // 2:
            return
        self._asked += room
        self._requests += 1
        request = {
            "batch": room,
            "max_bytes": max(MAX_BYTES, 2 * self._connection.max_payload),
            "expires": int(EXPIRES * SECOND),
            "idle_heartbeat": int(HEARTBEAT * SECOND),
        }
        try:
            await self._connection.send(
                self._subject, msgspec.json.encode(request), reply=f"{self._inbox}.{self._requests}"
            )
        except NoAnswer as error:
            self._lose(str(error))

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._wake.set()

    async def _on_message(self, message: Msg) -> None:
        self._heard = True
        if message.reply.startswith("$JS.ACK."):
            self._asked = max(0, self._asked - 1)
            self._ready.append(_delivered(message))
            self._wake.set()
        else:
            self._on_status(message.headers or {})

    def _on_status(self, headers: dict[str, str]) -> None:
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":
            return
        if status in {"404", "408"} or (status == "409" and _passes(description)):
            self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", self._asked)))
            self._wake.set()
            return
        self._lose(f"{status} {description}".strip())


def _passes(description: str) -> bool:
    """Return True if a 409 ends only the request, not the consumer."""
    return any(
        part in description.lower() for part in ("batch completed", "maxbytes", "max ack pending", "leadership change")
    )


def _delivered(message: Msg) -> Delivered:
    """`$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<place>.<time>.<pending>`, or the form with domain and account
    hash in front of the stream (ADR-15)."""
    tokens = message.reply.split(".")
    attempt, sequence, place, time, pending = map(int, tokens[4:] if len(tokens) == 9 else tokens[6:11])
    return Delivered(
        message.subject, message.headers, message.data, message.reply, attempt, sequence, place, time / 1e9, pending
    )
