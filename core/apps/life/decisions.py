"""The owner's decisions on an installed app: its grants, and how much of the machine it may use. Each applies at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from core.apps.life.parts import AppParts
from core.apps.life.pausing import WITHDRAWN, withdrawn
from core.apps.review.limits import changed_limits
from pcloud.errors import NotFound
from projections.directory import App, AppState

__all__ = ["Decisions"]


class Life(Protocol):
    """Pauses, resumes and restarts an app."""

    async def pause(self, name: str, reason: str) -> App: ...
    async def resume(self, name: str) -> App: ...
    async def restart(self, name: str) -> App: ...


class Decisions:
    def __init__(self, parts: AppParts, life: Life):
        self._parts = parts
        self._life = life

    async def set_grant(self, name: str, grant_id: str, approved: bool) -> App:
        """See `Apps.set_grant`."""
        registry = self._parts.registry
        async with self._parts.local.deciding:
            registry.get(name)
            grants = {grant.id: grant for grant in registry.grants(name)}
            if grant_id not in grants:
                raise NotFound(f"{name} has no grant {grant_id!r}: `pcloud app grants {name}` shows them all")
            grant = replace(grants[grant_id], state="approved" if approved else "rejected")
            if grant.state == grants[grant_id].state:
                return registry.get(name)
            await registry.set_grant(grant)
            await self._parts.core.api.disconnect(lambda caller: caller.view_app == name)
        await self._parts.core.calls.callers_told()
        app, lacking = registry.get(name), await withdrawn(self._parts, name)
        if lacking and app.state is AppState.RUNNING:
            return await self._life.pause(name, lacking)
        if not lacking and app.state is AppState.PAUSED and app.error.startswith(WITHDRAWN):
            return await self._life.resume(name)
        if app.state is AppState.RUNNING and grant.verb in ("network", "call"):
            # The network that its process can reach is set when the process starts.
            return await self._life.restart(name)
        return app

    async def set_limits(self, name: str, changes: Mapping[str, Any]) -> App:
        """See `Apps.set_limits`."""
        registry = self._parts.registry
        async with self._parts.local.deciding:
            app = registry.get(name)
            self._parts.local.check_idle(name)
            limits = changed_limits(app.limits, changes)
            if limits == app.limits:
                return app
            await registry.set_limits(name, limits)
        after = registry.get(name)
        # `graph` is checked at each write; the other limits apply from the process's start.
        same = msgspec.structs.replace(app.resources, graph=after.resources.graph) == after.resources
        if app.state is AppState.RUNNING and app.manifest.run is not None and not same:
            return await self._life.restart(name)
        return after
