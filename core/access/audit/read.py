"""Reads the audit log, newest first, page by page.

The stream is read backwards in pieces, of the wanted kind only. A record's app is inside the record, so a page for an app with few
records may have to read very many. A time limit bounds that."""

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
    """The part of `eventstore.EventStore` that this file uses."""

    async def audit_range(self) -> tuple[int, int]: ...

    def audit_records(
        self, first: int, last: int, kind: str = ""
    ) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]: ...


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`after`: the argument for the next page; None if nothing is older."""

    records: list[dict[str, Any]]
    after: str | None


async def read_audit(
    store: AuditRecords, *, first: int = 50, after: str = "", app: str = "", kind: str = ""
) -> AuditPage:
    """Return at most `first` records older than `after`, newest first. `app`: records of what this app did, or what was done to it or
    through it.

    Raises `Rejected`, or `Unavailable` if finding them takes too long."""
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
    """Return a record in today's form: older ones have `owner`, and `eyes` for the present `through`."""
    through = record.get("through") or record.get("eyes", "")
    now = {**record, "actor": upcast_actor(str(record.get("actor", ""))), "through": through}
    now.pop("eyes", None)
    return now


def concerns(record: Mapping[str, Any], app: str) -> bool:
    """Return True if the app did it, or if it was done to the app or through the app."""
    if record.get("actor") == f"app:{app}" or record.get("through") == app:
        return True
    return any(str(record.get(key, "")).partition("/")[0] == app for key in ("target", "action"))


def _place(after: str) -> int:
    try:
        return int(after)
    except ValueError:
        raise Rejected(f"{after!r} is not a position in the audit log: pass a record's `_cursor`") from None
