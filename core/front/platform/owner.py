"""Sessions and the credential over GraphQL, only for a person in their own full view: devices and apps' pages can't see or end sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ariadne import MutationType, QueryType

from core.access.caller import Caller
from core.graph.api import PlatformFields
from core.people.owner.session import Sessions
from projections.directory import Session

__all__ = ["owner_fields"]

SDL = """
type Query {
  # The running sessions, newest first: [{id, browser, device, created, seen, expires, current}], times in unix seconds; `current`:
  # true for the session of this request.
  sessions: JSON!
}
type Mutation {
  # Sign one browser out, on all origins and at once. Answers {ended: 1}.
  endSession(id: ID!): JSON!
  # Sign all browsers out; with `others: true` all but the calling one. Answers {ended}: how many.
  endSessions(others: Boolean = false): JSON!
  # Replace the owner's credential, which ends all sessions. Answers {credential}: the new one, returned only now.
  changeCredential(present: String!): JSON!
}
"""


def owner_fields(sessions: Sessions, change: Callable[[str], Awaitable[str]]) -> list[PlatformFields]:
    """For `Api.add_fields`. `change` replaces the credential, given the present one."""
    query, mutation = QueryType(), MutationType()

    @query.field("sessions")
    def listed(_: Any, info: Any) -> Any:
        return [_told(session, sessions, info.context.caller) for session in sessions.list()]

    @mutation.field("endSession")
    async def end(_: Any, info: Any, id: str) -> Any:
        await sessions.end(id)
        return {"ended": 1}

    @mutation.field("endSessions")
    async def end_all(_: Any, info: Any, others: bool | None = None) -> Any:
        return {"ended": await sessions.end_all(but=info.context.caller.session if others else "")}

    @mutation.field("changeCredential")
    async def changed(_: Any, info: Any, present: str) -> Any:
        return {"credential": await change(present)}

    return [PlatformFields(SDL, (query, mutation), visible=_person)]


def _person(caller: Caller) -> bool:
    return caller.kind == "person" and not caller.view_app


def _told(session: Session, sessions: Sessions, caller: Caller) -> dict[str, Any]:
    return {
        "id": session.id, "browser": session.browser, "device": session.device, "created": session.created,
        "seen": sessions.seen(session), "expires": session.expires, "current": session.id == caller.session,
    }  # fmt: skip
