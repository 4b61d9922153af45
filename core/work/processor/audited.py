"""Finds a call in the audit log: calls that are answered at once are not stored as runs, but may have caused one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.access.audit.read import AuditRecords, read_audit

__all__ = ["audited_call"]

PAGE = 500
PAGES = 10


async def audited_call(store: AuditRecords, id: str) -> Mapping[str, Any] | None:
    """Return the record of the call whose run has this id; None if it is not among the newest 5,000 calls."""
    after = ""
    for _ in range(PAGES):
        page = await read_audit(store, first=PAGE, after=after, kind="call")
        for record in page.records:
            if record.get("run") == id:
                return record
        if page.after is None:
            return None
        after = page.after
    return None
