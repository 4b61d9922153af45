"""AUDIT: who was let in, who was refused, what was granted. Written once, read by people (`nats stream view AUDIT`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from eventstore.connection import ApiError, Connection
from eventstore.publish import publish
from eventstore.retry import until_answered
from eventstore.wire import Message
from pcloud.errors import Rejected, Unavailable

__all__ = ["record_audit"]

_KIND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*")


async def record_audit(connection: Connection, record: Mapping[str, Any]) -> None:
    """Store one record. Its `kind` (such as `call.refused`) becomes the subject `audit.<kind>`; raises `Rejected`
    without."""
    kind = record.get("kind", "")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise Rejected(f"the audit record's kind {kind!r} is none: use words such as 'call.refused'")
    message = Message(f"audit.{kind}", {}, msgspec.json.encode(record))
    try:
        await until_answered(lambda: publish(connection, message, 5.0), "an audit record")
    except ApiError as error:
        raise Unavailable(f"an audit record can't be stored: {error}") from error
