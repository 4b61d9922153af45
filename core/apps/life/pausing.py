"""Pauses, resumes and restarts an app without losing anything of it.

A paused app's triggers keep their positions in the log, and its durable calls wait. It has no user on the bus. It
stays PAUSED until the owner resumes it, also over restarts of the node.
"""

from __future__ import annotations

from dataclasses import replace

from core.access.grant import describe
from core.apps.life.installation import Installation, bring_up
from core.apps.life.parts import AppParts, quiet
from core.apps.review.words import words_of
from pcloud.errors import Conflict, Forbidden
from projections.directory import App, AppState
from projections.graph.catalog import Catalog

__all__ = ["WITHDRAWN", "Pauses", "withdrawn"]

WITHDRAWN = "it can't work without what you withdrew: "


class Pauses:
    def __init__(self, parts: AppParts):
        self._parts = parts

    async def pause(self, app: App, reason: str) -> None:
        """Write the node first: the recorded state holds even if stopping fails."""
        await self._parts.registry.become(app.name, AppState.PAUSED, reason, step="pause")
        await self.stop(app)

    async def stop(self, app: App) -> None:
        """Stop an app whose entity says PAUSED."""
        await self._parts.core.processor.suspend(app.name)
        await self._parts.local.drop(app.name)
        await self._parts.local.expel(app.name)
        await self._parts.core.api.disconnect(lambda caller: caller.kind == "app" and caller.name == app.name)

    async def resume(self, app: App) -> None:
        """Raises `Forbidden` if a required grant is missing, else the reason why the app does not start; it then stays PAUSED."""
        if lacking := await withdrawn(self._parts, app.name):
            raise Forbidden(f"{app.name} stays paused: {lacking}; grant that first")
        instance = await self._parts.local.make(app)
        try:
            steps = await bring_up(self._parts, instance, quiet, (), new=False, recorded=False)
        except Exception as error:
            await self._parts.core.processor.suspend(app.name)
            await self._parts.local.expel(app.name)
            await self._parts.registry.become(app.name, AppState.PAUSED, f"it does not start: {error}")
            raise
        await steps.running()

    async def restart(self, app: App) -> None:
        """Start a new process with the current grants; raises the reason if it does not stay up, and attempts continue."""
        if app.state is not AppState.RUNNING:
            raise Conflict(f"{app.name} is {app.state}, so it can't be restarted: resume it")
        steps = Installation(await self._parts.local.make(app), self._parts, quiet, recorded=False)
        await steps.start()
        await steps.settle(new=False)


async def withdrawn(parts: AppParts, name: str) -> str:
    """Why an app can't run with its current grants, in the words of the grants; '' if it can."""
    grants = parts.registry.grants(name)
    lacking = [grant for grant in grants if grant.state != "approved" and not grant.optional]
    if not lacking:
        return ""
    words = words_of({one.name: one.manifest for one in parts.registry.all()}, Catalog())
    return WITHDRAWN + "; ".join(describe(grant, replace(words, actions={})) for grant in lacking)
