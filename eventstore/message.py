"""Single messages of a stream, read from its leader."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from eventstore.connection import ApiError, Connection
from eventstore.wire import parse_headers

__all__ = ["StoredMessage", "get_message", "parse_time"]

NO_MESSAGE = 10037
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class StoredMessage(NamedTuple):
    """`time` in seconds since 1970."""

    sequence: int
    time: float
    subject: str
    headers: dict[str, str]
    body: bytes


async def get_message(connection: Connection, stream: str, request: Mapping[str, Any]) -> StoredMessage | None:
    """`STREAM.MSG.GET`: `{last_by_subj}`, `{seq, next_by_subj}` or `{start_time, next_by_subj}`; None without such a
    message."""
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", request)
    except ApiError as error:
        if error.number == NO_MESSAGE:
            return None
        raise
    message = answer["message"]
    return StoredMessage(
        sequence=int(message["seq"]),
        time=parse_time(message["time"]),
        subject=str(message["subject"]),
        headers=parse_headers(base64.b64decode(message.get("hdrs", ""))),
        body=base64.b64decode(message.get("data", "")),
    )


def parse_time(text: str) -> float:
    """RFC 3339 with up to nine decimals, as Go writes it."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    whole, fraction, zone = match.groups()
    seconds = int(datetime.fromisoformat(whole + zone).astimezone(UTC).timestamp())
    nanoseconds = int((fraction or "0").ljust(9, "0"))
    return (seconds * 10**9 + nanoseconds) / 1e9
