"""The server's report on the streams and their readers: one request for each list, whatever they hold.

For inspection only; no decision depends on it. Temporary readers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eventstore.connection import ApiError, Connection
from pcloud.errors import Unavailable

__all__ = ["ConsumerReport", "StreamReport", "report_consumers", "report_streams"]

PURPOSE = "pcloud_purpose"
DURABLE = frozenset({"trigger", "work"})
# A thousand apps' triggers; the server returns 256 at a time.
MOST_PAGES = 40


class StreamReport(NamedTuple):
    """`size`: bytes on the disk; `limit` 0: no limit."""

    name: str
    messages: int
    size: int
    limit: int


class ConsumerReport(NamedTuple):
    """`about`: its metadata, such as `pcloud_app`. `pending`: not delivered yet; `ack_pending`: in progress."""

    name: str
    about: Mapping[str, str]
    pending: int
    ack_pending: int
    redelivered: int


async def report_streams(connection: Connection, *, patience: float) -> Sequence[StreamReport]:
    """All streams, by name. Raises `Unavailable`."""
    found = await _listed(connection, "STREAM.LIST", "streams", patience)
    reports = [
        StreamReport(
            info["config"]["name"], int(info["state"]["messages"]), int(info["state"]["bytes"]),
            max(0, int(info["config"].get("max_bytes", 0))),
        )
        for info in found
    ]  # fmt: skip
    return sorted(reports)


async def report_consumers(connection: Connection, stream: str, *, patience: float) -> Sequence[ConsumerReport]:
    """The durable consumers of one stream. Raises `Unavailable`."""
    found = await _listed(connection, f"CONSUMER.LIST.{stream}", "consumers", patience)
    reports: list[ConsumerReport] = []
    for info in found:
        about: Mapping[str, str] = info["config"].get("metadata") or {}
        if about.get(PURPOSE) in DURABLE:
            counts = (int(info[key]) for key in ("num_pending", "num_ack_pending", "num_redelivered"))
            reports.append(ConsumerReport(info["name"], about, *counts))
    return reports


async def _listed(connection: Connection, endpoint: str, key: str, patience: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    try:
        for _ in range(MOST_PAGES):
            page = await connection.api(endpoint, {"offset": len(found)}, patience=patience)
            found += page.get(key) or []
            if len(found) >= int(page["total"]) or not page.get(key):
                break
    except ApiError as error:
        raise Unavailable(f"the log does not report its streams ({endpoint}): {error}") from error
    return found
