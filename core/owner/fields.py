"""Sessions and the credential over GraphQL, for a person in the own full view alone: no device and no app's page sees or ends them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.api import FieldInfo, RootField
from core.caller import Caller
from core.owner.session import Sessions
from projections.directory import Session

__all__ = ["owner_fields"]

# The sessions that run, the newest first: [{id, browser, device, created, seen, expires, current}], times in unix seconds; `current`:
# whether the request comes with it.
SESSIONS = "sessions: JSON!"
# Sign one browser out, on all origins and at once. Answers {ended: 1}.
END = "endSession(id: ID!): JSON!"
# Sign all browsers out; with `others: true` all but the one that asks. Answers {ended}: how many.
END_ALL = "endSessions(others: Boolean = false): JSON!"
# Replace the owner's credential, which ends all sessions. Answers {credential}: the new one, told only now.
CHANGE = "changeCredential(present: String!): JSON!"


def owner_fields(sessions: Sessions, change: Callable[[str], Awaitable[str]]) -> list[RootField]:
    """For `Api.add_fields`. `change`: replaces the credential, given the present one."""

    async def listed(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return [_told(session, sessions, caller) for session in sessions.list()]

    async def end(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        await sessions.end(arguments["id"])
        return {"ended": 1}

    async def end_all(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return {"ended": await sessions.end_all(but=caller.session if arguments.get("others") else "")}

    async def changed(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return {"credential": await change(arguments["present"])}

    return [
        RootField("query", SESSIONS, listed, visible=_person),
        RootField("mutation", END, end, visible=_person),
        RootField("mutation", END_ALL, end_all, visible=_person),
        RootField("mutation", CHANGE, changed, visible=_person),
    ]


def _person(caller: Caller) -> bool:
    return caller.kind == "person" and not caller.view_app


def _told(session: Session, sessions: Sessions, caller: Caller) -> dict[str, Any]:
    return {
        "id": session.id, "browser": session.browser, "device": session.device, "created": session.created,
        "seen": sessions.seen(session), "expires": session.expires, "current": session.id == caller.session,
    }  # fmt: skip
