"""The grants in force, as of the graph view; read once and again after each change. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.caller import Grant
from core.grant.node import ALL_GRANTS, grant_from_row
from pcloud.event import StoredEvent
from projections.graph.port import GraphStore

__all__ = ["GrantRegister"]


class Applied(Protocol):
    """The part of the projection loop that tells of folded batches."""

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None]) -> Callable[[], None]: ...


class GrantRegister:
    """`close()` it when core stops."""

    def __init__(self, graph: GraphStore, loop: Applied):
        self._graph = graph
        self._grants: dict[str, tuple[Grant, ...]] | None = None
        self._changes = 0
        self.close = loop.on_applied(self._notice)

    async def of(self, app: str) -> tuple[Grant, ...]:
        """All grants of an app, decided or not."""
        return (await self._by_app()).get(app, ())

    async def approved(self, app: str) -> tuple[Grant, ...]:
        """What the app may do."""
        return tuple(grant for grant in await self.of(app) if grant.state == "approved")

    async def may_call(self, app: str, target: str) -> bool:
        """Whether `app` was granted this very target, written as in its manifest: `app/action` or `role:ROLE/action`.

        An app's own actions need no grant. Who holds a role is not known here: ask for the form that the caller used.
        """
        if target.partition("/")[0] == app:
            return True
        return any(grant.verb == "call" and grant.target == target for grant in await self.approved(app))

    async def _by_app(self) -> dict[str, tuple[Grant, ...]]:
        while self._grants is None:
            before = self._changes
            grants: dict[str, tuple[Grant, ...]] = {}
            for row in await self._graph.fetch(ALL_GRANTS):
                grant = grant_from_row(row)
                grants[grant.app] = (*grants.get(grant.app, ()), grant)
            if self._changes == before:
                self._grants = grants
        return self._grants

    def _notice(self, events: Sequence[StoredEvent]) -> None:
        if any(event.ref.app == "core" and event.ref.type == "Grant" for event in events):
            self._grants = None
            self._changes += 1
