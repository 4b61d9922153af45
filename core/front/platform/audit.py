"""The audit log over GraphQL, for the owner."""

from __future__ import annotations

from typing import Any

from ariadne import QueryType

from core.access.audit.read import AuditRecords, read_audit
from core.graph.api import PlatformFields

__all__ = ["audit_fields"]

SDL = """
type Query {
  # Calls and refusals, newest first. The last record carries `_cursor` if `after` can continue from there. Kinds: call, send, api, bus,
  # limit, archive, web, network. `app`: what that app did, and what was done to it.
  audit(first: Int, after: String, app: String, kind: String): [JSON!]!
}
"""
FIRST = 50


def audit_fields(store: AuditRecords) -> list[PlatformFields]:
    """For `Api.add_fields`; only the owner and the owner's devices may use them."""
    query = QueryType()

    @query.field("audit")
    async def audit(_: Any, info: Any, first: int | None = None, **given: str | None) -> Any:
        wanted = {name: given.get(name) or "" for name in ("after", "app", "kind")}
        page = await read_audit(store, first=FIRST if first is None else first, **wanted)
        if page.after is not None:
            page.records[-1]["_cursor"] = page.after
        return page.records

    return [PlatformFields(SDL, (query,))]
