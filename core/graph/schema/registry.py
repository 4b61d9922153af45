"""All callers' views, always of the current directory: swapped in one step when an app or a grant changes.

A view is built when it is first used, and kept until something that it depends on changes. Caches that belong to a view therefore stay
warm through the many events that change nothing here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from core.graph.schema.access import app_access, owner_access
from core.graph.schema.build import build_view
from core.graph.schema.view import View
from pcloud.errors import NotFound
from projections.directory import Changed, Directory, Grant
from projections.graph.catalog import Catalog

__all__ = ["ViewRegistry"]


class ViewRegistry:
    """`close()` stops listening."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._granted = _by_app(directory)
        self._views: dict[str, View] = {}
        self._listeners: list[Callable[[], None]] = []
        self._unsubscribe = directory.on_changed(self._changed)

    def close(self) -> None:
        self._unsubscribe()

    def on_swap(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Register `callback` to be called after views have changed; return the function that removes it."""
        self._listeners.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return unsubscribe

    @property
    def catalog(self) -> Catalog:
        """All types, as the views see them."""
        return self._directory.catalog

    @property
    def declared(self) -> int:
        """The sequence at which types or fields changed last: a graph view behind it can't answer for the current views."""
        return self._directory.declared

    def owner(self) -> View:
        """Return the owner's view: everything, under long names."""
        return self.of("")

    def app(self, name: str) -> View:
        """Return an app's view. Raises `NotFound` if the app does not exist."""
        if name not in self._directory.records.apps and not self._left_traces(name):
            raise NotFound(f"there is no app {name!r}: `pcloud app list` names those that are installed")
        return self.of(name)

    def of(self, app: str) -> View:
        """Return `owner()` for '', else the view of `app`, which must exist."""
        if (view := self._views.get(app)) is None:
            catalog = self.catalog
            access = app_access(app, catalog, self._granted.get(app, ())) if app else owner_access(catalog)
            view = self._views[app] = build_view(app, catalog, access)
        return view

    def holds(self, view: View) -> bool:
        """Return True if this is still the view of its app."""
        return self._views.get(view.app) is view

    def _left_traces(self, name: str) -> bool:
        prefix = f"{name}/"
        return name in self._granted or any(stored.startswith(prefix) for stored in self.catalog.types)

    def _changed(self, changed: Changed) -> None:
        before, self._granted = self._granted, _by_app(self._directory)
        if changed.catalog:
            self._swap(set(self._views))
        elif changed.touches("Grant"):
            self._swap({app for app in {*before, *self._granted} if before.get(app) != self._granted.get(app)})

    def _swap(self, apps: set[str]) -> None:
        """Drop the views of these apps; they are built when next used."""
        self._views = {app: view for app, view in self._views.items() if app not in apps}
        for listener in list(self._listeners):
            listener()


def _by_app(directory: Directory) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, tuple[Grant, ...]] = {}
    for grant in directory.records.grants.values():
        found[grant.app] = (*found.get(grant.app, ()), grant)
    return found
