"""Notices over GraphQL, for people and their devices in the full view."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ariadne import MutationType, QueryType

from core.graph.api import PlatformFields
from core.people.notice import NoticeBoard

__all__ = ["notice_fields"]

SDL = """
type Query {
  # What a person should know, newest first: [{id, kind, about, text, advice, severity, since, ended, dismissed}], times in unix seconds, 0
  # if it has not ended or was not dismissed. With `all: true` also what is over or dismissed.
  notices(all: Boolean = false): [JSON!]!
}
type Mutation {
  # Take a notice off the list until it ends, or put it back. Answers the notice.
  dismissNotice(id: ID!): JSON!
  restoreNotice(id: ID!): JSON!
}
"""


def notice_fields(notices: NoticeBoard) -> list[PlatformFields]:
    """For `Api.add_fields`."""
    query, mutation = QueryType(), MutationType()

    @query.field("notices")
    def listed(_: Any, info: Any, all: bool | None = None) -> Any:
        return [asdict(one) for one in notices.list(all=bool(all))]

    @mutation.field("dismissNotice")
    async def dismiss(_: Any, info: Any, id: str) -> Any:
        return asdict(await notices.dismiss(id))

    @mutation.field("restoreNotice")
    async def restore(_: Any, info: Any, id: str) -> Any:
        return asdict(await notices.restore(id))

    return [PlatformFields(SDL, (query, mutation))]
