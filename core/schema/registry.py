"""All callers' views, always those of the last folded event: swapped in one step when an app or a grant changes.

A view is built when it is first asked for and kept as long as nothing that it depends on has changed, so caches that hang on it stay
warm through the many events that change nothing here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from core.caller import Grant
from core.schema.access import app_access, grant_from, owner_access
from core.schema.build import build_view
from core.schema.view import View
from pcloud.errors import NotFound
from pcloud.event import Kind, StoredEvent
from projections.graph.catalog import Catalog
from projections.graph.port import GraphStore, Select

__all__ = ["Applied", "ViewRegistry"]

_GONE = (Kind.DELETED, Kind.FORGOTTEN)
_GRANT_FIELDS = ("app", "verb", "target", "fields", "alias", "optional", "reason", "state")


class Applied(Protocol):
    """What tells about folded events: `projections.loop.ProjectionLoop`."""

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None], /) -> Callable[[], None]: ...


class ViewRegistry:
    """`await load()` once before the first view is asked for; `close()` stops listening."""

    def __init__(self, graph: GraphStore, loop: Applied) -> None:
        self._graph = graph
        self._apps: set[str] = set()
        self._grants: dict[str, dict[str, Any]] = {}
        self._catalog: Catalog = graph.catalog
        self._views: dict[str, View] = {}
        self._listeners: list[Callable[[], None]] = []
        self._unsubscribe = loop.on_applied(self._applied)

    async def load(self) -> None:
        """Read the apps and grants that the graph holds; again, when events were folded meanwhile."""
        while True:
            before = self._graph.checkpoint
            grants = await self._graph.fetch(Select("core/Grant", scalars=("id", *_GRANT_FIELDS)))
            apps = await self._graph.fetch(Select("core/App", scalars=("id",)))
            if self._graph.checkpoint == before:
                break
        self._grants = {row["id"]: row for row in grants}
        self._apps = {row["id"] for row in apps}
        self._catalog = self._graph.catalog
        self._swap(None)

    def close(self) -> None:
        self._unsubscribe()

    def on_swap(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after views have changed; returns what takes it off again."""
        self._listeners.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return unsubscribe

    @property
    def catalog(self) -> Catalog:
        """All types, as the views see them."""
        return self._catalog

    @property
    def grants(self) -> tuple[Grant, ...]:
        """All grants, whatever their state."""
        return tuple(grant_from(fields, id) for id, fields in self._grants.items())

    def owner(self) -> View:
        """Everything, under long names."""
        return self.of("")

    def app(self, name: str) -> View:
        """What an app sees; raises `NotFound` when there is no such app."""
        if name not in self._apps and not self._left_traces(name):
            raise NotFound(f"there is no app {name!r}: `pcloud app list` names those that are installed")
        return self.of(name)

    def of(self, app: str) -> View:
        """`owner()` for '', else the view of `app`, which is known to exist."""
        if (view := self._views.get(app)) is None:
            access = app_access(app, self._catalog, self.grants) if app else owner_access(self._catalog)
            view = self._views[app] = build_view(app, self._catalog, access)
        return view

    def holds(self, view: View) -> bool:
        """Whether this is still the view of its app."""
        return self._views.get(view.app) is view

    def _left_traces(self, name: str) -> bool:
        prefix = f"{name}/"
        return any(stored.startswith(prefix) for stored in self._catalog.types) or any(
            fields.get("app") == name for fields in self._grants.values()
        )

    def _applied(self, events: Sequence[StoredEvent]) -> None:
        """The loop's callback: after the graph has committed, before anyone who waits for it goes on."""
        touched: set[str] = set()
        for event in events:
            if event.ref.app != "core":
                continue
            if event.ref.type == "Grant":
                touched |= self._fold_grant(event)
            elif event.ref.type == "App":
                (self._apps.discard if event.kind in _GONE else self._apps.add)(event.ref.id)
        if self._graph.catalog is not self._catalog and self._graph.catalog != self._catalog:
            self._catalog = self._graph.catalog
            self._swap(None)
        elif touched:
            self._swap(touched)

    def _fold_grant(self, event: StoredEvent) -> set[str]:
        before = self._grants.get(event.ref.id, {})
        after = {name: value for name, value in before.items() if name not in event.change.unset} | event.change.set
        if event.kind in _GONE:
            self._grants.pop(event.ref.id, None)
        else:
            self._grants[event.ref.id] = after
        return {str(fields["app"]) for fields in (before, after) if "app" in fields}

    def _swap(self, apps: set[str] | None) -> None:
        """Forget the views of these apps (None: all); they are built anew when next asked for."""
        self._views = {} if apps is None else {app: view for app, view in self._views.items() if app not in apps}
        for listener in list(self._listeners):
            listener()
