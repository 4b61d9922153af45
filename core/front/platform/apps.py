"""The apps as this node runs them, over GraphQL, for the owner. (`queryCore_App` answers what the log says.)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ariadne import QueryType

from core.apps.status import AppStatus
from core.graph.api import PlatformFields

__all__ = ["app_fields"]

SDL = """
type Query {
  # The apps by name: [{name, title, version, state, error, process, reason, seconds, restarts}]. `process`: starting, running, degraded
  # (it answers calls, and says what does not work), not-ready (it says that it can't answer calls now), backing-off, stopped, failed, or
  # '' without one; `reason`: why it is not running.
  apps: [JSON!]!
}
"""
SHOWN = ("name", "title", "version", "state", "error", "process", "reason", "seconds", "restarts")


def app_fields(listed: Callable[[], Awaitable[Sequence[AppStatus]]]) -> list[PlatformFields]:
    """For `Api.add_fields`; only the owner and the owner's devices may use them."""
    query = QueryType()

    @query.field("apps")
    async def apps(_: Any, info: Any) -> Any:
        return [{name: getattr(status, name) for name in SHOWN} for status in await listed()]

    return [PlatformFields(SDL, (query,))]
