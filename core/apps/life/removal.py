"""Removes an app: everything of it on this node stops, then its entities leave the graph. Its data stays, unless the owner
forgets it.

Its own entity is deleted last, so that an interrupted removal is noticed: the next start finds the app REMOVING and
continues. The owner's decision on its data is in that entity from the first step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from core.access.caller import CORE, OWNER
from core.apps.life.parts import AppParts, Progress
from core.apps.review.admission_rules import dependents
from core.apps.review.stored_data import read_stored
from pcloud.errors import Conflict, NotFound, Rejected
from pcloud.manifest import Manifest
from projections.directory import App, AppState

__all__ = ["Removals", "check_can_go"]

log = logging.getLogger("pcloud.app")
ACTOR = OWNER.actor


def check_can_go(name: str, installed: Mapping[str, Manifest]) -> None:
    """Raises `Conflict` if another app requires this one."""
    if needed := dependents(name, installed):
        them = "that" if len(needed) == 1 else "those"
        raise Conflict(f"{name} is needed by {', '.join(needed)}: remove {them} first")


class Removals:
    def __init__(self, parts: AppParts):
        self._parts = parts

    async def begin(self, name: str, *, forget: bool) -> App:
        """Record the removal, which continues from here until it is done. An app that was removed earlier becomes
        REMOVING again, now with its data. Raises `NotFound`."""
        registry = self._parts.registry
        if forget and registry.find(name) is None:
            stored = await read_stored(self._parts.core.store, name)
            if stored.left is not None:
                return await registry.bring_back(name, stored.left, stored.catalog)
        registry.get(name)
        await registry.become(name, AppState.REMOVING, step="remove", forget=forget or None)
        return registry.get(name)

    async def go_on(self, app: App, progress: Progress) -> None:
        """Every step can be repeated."""
        await self._step(app, "stop", progress)
        await self._stop(app)
        if app.forget:
            await self._step(app, "forget", progress)
            await self._forget_stored(app.name)
            await self._parts.core.commands.forget_types(
                ACTOR, app.name, lambda count: progress("forget", f"{count} entries")
            )
        await self._step(app, "delete", progress)
        folders = self._parts.folders(app.name)
        await asyncio.to_thread(folders.drop_code)
        await asyncio.to_thread(folders.drop_secrets)
        await asyncio.to_thread(self._parts.snapshots(app.name).drop)
        if app.forget:
            await asyncio.to_thread(folders.forget)
        await self._parts.registry.delete(app.name)
        await self._parts.core.calls.callers_told()
        progress("removed", app.name)

    # --- within -------------------------------------------------------------------------------------------------------

    async def _stop(self, app: App) -> None:
        # After a restart it is not attached yet, and its consumers in the log must be removed too.
        with suppress(Rejected):
            await self._parts.core.processor.attach(app)
        await self._parts.core.processor.detach(app.name, forget=app.forget)
        await self._parts.local.drop(app.name)
        await self._parts.local.expel(app.name)
        await self._parts.core.api.disconnect(lambda caller: caller.view_app == app.name)

    async def _forget_stored(self, name: str) -> None:
        """Remove its objects; raises `Unavailable` while the object storage does not run."""
        with suppress(NotFound):
            await self._parts.core.calls.call(CORE, "role:object-storage/forget-caller", {"caller": f"app:{name}"})

    async def _step(self, app: App, step: str, progress: Progress) -> None:
        await self._parts.registry.step(app.name, step)
        progress(step, app.name)
