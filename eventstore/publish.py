"""Sends messages to a stream and waits for the single acknowledgement: one message by a plain publish, several as an
atomic batch (ADR-50)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from eventstore.connection import ApiError, Connection, NoAnswer
from eventstore.wire import Message

__all__ = ["Ack", "publish", "publish_all"]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Ack(NamedTuple):
    """Stored: `sequence` of the last message. `duplicate`: it had already been stored there."""

    sequence: int
    duplicate: bool = False


async def publish(connection: Connection, message: Message, timeout: float) -> Ack:
    """Raises `ApiError` if refused (nothing is stored) and `NoAnswer` if the outcome is unknown."""
    answer = await connection.ask(message.subject, message.body, message.headers, timeout)
    return _ack(answer.data)


async def publish_all(connection: Connection, messages: Sequence[Message], timeout: float) -> Ack:
    """Store all messages or none, with consecutive sequences. Raises like `publish`."""
    if len(messages) == 1:
        return await publish(connection, messages[0], timeout)
    # A new batch for every attempt: an interrupted one stays open on the server for ten idle seconds.
    batch = uuid.uuid4().hex
    for place, message in enumerate(messages[:-1], 1):
        await connection.send(message.subject, message.body, _in_batch(message, batch, place))
    last = messages[-1]
    headers = _in_batch(last, batch, len(messages)) | {"Nats-Batch-Commit": "1"}
    return _ack((await connection.ask(last.subject, last.body, headers, timeout)).data)


def _in_batch(message: Message, batch: str, place: int) -> dict[str, str]:
    return message.headers | {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(place)}


def _ack(data: bytes) -> Ack:
    try:
        answer = _decode(data)
        if "error" in answer:
            raise ApiError(int(answer["error"].get("err_code", 0)), str(answer["error"].get("description", "")))
        return Ack(int(answer["seq"]), bool(answer.get("duplicate", False)))
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise NoAnswer(f"the acknowledgement can't be read: {data[:80]!r}") from error
