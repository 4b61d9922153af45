"""Reads the audit log, newest first, page by page.

The stream is read backwards in pieces, of the wanted kind alone; which app a record is about stands inside it, so a page that asks for
an app that is rarely met may look at very many records. That is bounded by time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from pcloud.errors import Rejected, Unavailable
from pcloud.upcast import upcast_actor

__all__ = ["AuditPage", "AuditRecords", "read_audit"]

LARGEST_PAGE = 500
PIECE = 1000
LONGEST = 30.0


class AuditRecords(Protocol):
    """The part of `eventstore.EventStore` that is needed here."""

    async def audit_range(self) -> tuple[int, int]: ...

    def audit_records(
        self, first: int, last: int, kind: str = ""
    ) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]: ...


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`after`: what the next page is asked with; None when there is nothing older."""

    records: list[dict[str, Any]]
    after: str | None


async def read_audit(
    store: AuditRecords, *, first: int = 50, after: str = "", app: str = "", kind: str = ""
) -> AuditPage:
    """At most `first` records older than `after`, newest first. `app`: those that this app did, or that were done to it or through it.

    Raises `Rejected`, or `Unavailable` when finding them takes too long."""
    if not 0 < first <= LARGEST_PAGE:
        raise Rejected(f"`first` is {first}: ask for 1 to {LARGEST_PAGE} records")
    oldest, newest = await store.audit_range()
    end = min(_place(after) - 1, newest) if after else newest
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(LONGEST):
            while end >= oldest:
                start = max(oldest, end - PIECE + 1)
                for sequence, record in reversed(await _piece(store, start, end, kind)):
                    record = upcast(record)
                    if app and not concerns(record, app):
                        continue
                    found.append({**record, "id": str(sequence)})
                    if len(found) == first:
                        return AuditPage(found, str(sequence) if sequence > oldest else None)
                end = start - 1
    except TimeoutError as error:
        raise Unavailable(
            f"{first} records about {app or 'this'} were not found within {LONGEST:.0f} s: ask for fewer, or for one kind"
        ) from error
    return AuditPage(found, None)


async def _piece(store: AuditRecords, start: int, end: int, kind: str) -> list[tuple[int, Mapping[str, Any]]]:
    async with aclosing(store.audit_records(start, end, kind)) as records:
        return [one async for one in records]


def upcast(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record in today's form: older ones say `owner`, and `eyes` for what is `through` now."""
    through = record.get("through") or record.get("eyes", "")
    now = {**record, "actor": upcast_actor(str(record.get("actor", ""))), "through": through}
    now.pop("eyes", None)
    return now


def concerns(record: Mapping[str, Any], app: str) -> bool:
    """Whether the app did it, it was done to the app, or through the app."""
    if record.get("actor") == f"app:{app}" or record.get("through") == app:
        return True
    return any(str(record.get(key, "")).partition("/")[0] == app for key in ("target", "action"))


def _place(after: str) -> int:
    try:
        return int(after)
    except ValueError:
        raise Rejected(f"{after!r} is no place in the audit log: pass a record's `_cursor`") from None
