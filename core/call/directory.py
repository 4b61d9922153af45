"""Who offers what: the installed apps with their manifests, and which of them holds a role. Read from the graph, kept
until it changes; writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from core.call.target import ActionName
from pcloud.errors import NotFound
from pcloud.event import StoredEvent
from pcloud.manifest import Action, Manifest
from projections.graph.port import GraphStore, Select

__all__ = ["Directory"]

log = logging.getLogger(__name__)

APP_TYPE = "core/App"
GONE = frozenset({"REMOVING", "REMOVED"})


class Directory:
    """The apps as of the graph view. `notice` is to be called with every folded batch."""

    def __init__(self, graph: GraphStore) -> None:
        self._graph = graph
        self._apps: dict[str, Manifest] | None = None
        self._changes = 0

    def notice(self, events: Sequence[StoredEvent]) -> None:
        if any(event.ref.app == "core" and event.ref.type == "App" for event in events):
            self._apps = None
            self._changes += 1

    async def apps(self) -> dict[str, Manifest]:
        """Installed apps by name."""
        while self._apps is None:
            before = self._changes
            apps = await self._read()
            if self._changes == before:
                self._apps = apps
        return self._apps

    async def manifest(self, app: str) -> Manifest:
        """Raises `NotFound` for an app that is not installed."""
        apps = await self.apps()
        if app not in apps:
            raise NotFound(f"there is no app {app!r} here")
        return apps[app]

    async def action(self, name: ActionName) -> Action:
        """Raises `NotFound` for an app or an action that does not exist."""
        manifest = await self.manifest(name.app)
        for action in manifest.actions:
            if action.name == name.action:
                return action
        known = ", ".join(sorted(action.name for action in manifest.actions)) or "no actions"
        raise NotFound(f"{name.app} has no action {name.action!r}; it has {known}")

    async def holder(self, role: str) -> str:
        """The app that holds `role`: the first by name where several offer it. Raises `NotFound`."""
        holders = sorted(name for name, manifest in (await self.apps()).items() if role in manifest.provides)
        if not holders:
            raise NotFound(f"no installed app provides the role {role!r}: install one that does")
        return holders[0]

    async def _read(self) -> dict[str, Manifest]:
        rows = await self._graph.fetch(Select(APP_TYPE, scalars=("id", "manifest", "state")))
        found = {row["id"]: _decode(row) for row in rows if row.get("manifest") and row.get("state") not in GONE}
        return {name: manifest for name, manifest in found.items() if manifest is not None}


def _decode(row: dict[str, str]) -> Manifest | None:
    """None for one that this program can't read: that app can't be called, the others can."""
    try:
        return msgspec.json.decode(row["manifest"], type=Manifest)
    except msgspec.MsgspecError as error:
        log.error("the stored manifest of %s can't be read: %s", row["id"], error)
        return None
