"""AUDIT: who called what and who was refused what. Written once, read by the owner (`pcloud audit`, `nats stream view AUDIT`)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from eventstore.connection import ApiError, Connection
from eventstore.follow import read
from eventstore.publish import publish
from eventstore.retry import until_answered
from eventstore.wire import Message
from pcloud.errors import Rejected, Unavailable
from pcloud.subject import AUDIT_SUBJECTS, audit_subject

__all__ = ["audit_range", "audit_records", "record_audit"]

STREAM = "AUDIT"

_KIND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*")


async def record_audit(connection: Connection, record: Mapping[str, Any]) -> None:
    """Store one record, however long the server takes to answer. Its `kind` (such as `call`) becomes the subject
    `audit.<kind>`; raises `Rejected` for an invalid kind."""
    kind = record.get("kind", "")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise Rejected(f"{kind!r} is not a kind of audit record: use a word such as 'call'")
    message = Message(audit_subject(kind), {}, msgspec.json.encode(record))
    try:
        await until_answered(connection, lambda: publish(connection, message, 5.0), "an audit record", None)
    except ApiError as error:
        raise Unavailable(f"an audit record can't be stored: {error}") from error


async def audit_range(connection: Connection) -> tuple[int, int]:
    """The oldest and the newest sequence; in an empty log, the first is above the second."""
    state = (await connection.api(f"STREAM.INFO.{STREAM}"))["state"]
    return int(state["first_seq"]) or 1, int(state["last_seq"])


async def audit_records(
    connection: Connection, first: int, last: int, kind: str = ""
) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]:
    """The records from sequence `first` to `last`, both included, of one kind or of all. Messages that are not records
    are left out."""
    if kind and not _KIND.fullmatch(kind):
        raise Rejected(f"the audit log has no kind {kind!r}: use words such as 'call'")
    subjects = [audit_subject(kind) if kind else AUDIT_SUBJECTS]
    async with aclosing(read(connection, STREAM, first, last, subjects)) as messages:
        async for message in messages:
            try:
                yield message.sequence, msgspec.json.decode(message.body, type=dict[str, Any])
            except msgspec.MsgspecError:
                continue
