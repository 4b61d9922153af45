"""What the owner sees of the audit log over GraphQL."""

from __future__ import annotations

from typing import Any

from core.api import FieldInfo, RootField
from core.audit.read import AuditRecords, read_audit
from core.caller import Caller

__all__ = ["audit_fields"]

# Who called what and who was refused what, newest first. The last one carries `_cursor` when `after` can go on from there. Kinds: call,
# send, api, bus, limit, archive, web, network. `app`: what that app did, and what was done to it.
AUDIT = "audit(first: Int, after: String, app: String, kind: String): [JSON!]!"
FIRST = 50


def audit_fields(store: AuditRecords) -> list[RootField]:
    """For `Api.add_fields`; the owner's and the owner's devices' alone."""

    async def audit(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        first = arguments.get("first")
        wanted = {name: arguments.get(name) or "" for name in ("after", "app", "kind")}
        page = await read_audit(store, first=FIRST if first is None else first, **wanted)
        if page.after is not None:
            page.records[-1]["_cursor"] = page.after
        return page.records

    return [RootField("query", AUDIT, audit)]
