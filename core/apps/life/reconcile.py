"""Brings an app on this node to the state that the log records, from wherever it is: after a start of the node, an interruption or
an error."""

from __future__ import annotations

from core.apps.life.aftercare import is_stranded
from core.apps.life.arrivals import Arrivals
from core.apps.life.installation import Installation
from core.apps.life.parts import AppParts, quiet
from core.apps.life.pausing import Pauses
from core.apps.life.removal import Removals
from core.apps.life.upgrade import Upgrades
from projections.directory import App, AppState

__all__ = ["Reconciler"]


class Reconciler:
    def __init__(
        self, parts: AppParts, arrivals: Arrivals, upgrades: Upgrades, removals: Removals, pauses: Pauses
    ) -> None:
        self._parts, self._arrivals = parts, arrivals
        self._upgrades, self._removals, self._pauses = upgrades, removals, pauses

    def begin(self, app: App) -> None:
        """Bring the app to its recorded state, with as many attempts as that takes."""
        name, waiting = app.name, app.state not in (AppState.INSTALLING, AppState.UPGRADING)
        self._parts.local.begin(name, self._parts.local.keep_trying(name, lambda: self._see_to(name)), waiting=waiting)

    def begin_restart(self, app: App) -> None:
        """Restart the app with the current ports."""
        self._parts.local.begin(app.name, self._pauses.restart(app), waiting=True)

    async def go_on(self, app: App) -> None:
        """Do what its recorded state asks for, once."""
        if app.state is AppState.INSTALLING:
            await self._arrivals.bring_in(app, quiet)
        elif app.state is AppState.UPGRADING:
            await self._upgrades.go_on(app, quiet)
        elif app.state is AppState.REMOVING:
            await self._removals.go_on(app, quiet)
        elif app.state is AppState.RUNNING:
            await self._start(app)
        elif app.state is AppState.PAUSED:
            await self._pauses.stop(app)

    async def _see_to(self, name: str) -> None:
        """Make one attempt; raises the reason to try again."""
        app = self._parts.registry.find(name)
        try:
            if app is not None:
                await self.go_on(app)
        except Exception:
            # A final failure is recorded and has been logged.
            if (now := self._parts.registry.find(name)) and is_stranded(now, started=self._parts.local.started(name)):
                raise
        self._parts.local.troubles.pop(name, None)

    async def _start(self, app: App) -> None:
        """Run a node's start-up steps for one app."""
        instance = await self._parts.local.make(app)
        try:
            await Installation(instance, self._parts, quiet, recorded=False).start()
        except BaseException:
            await instance.stop()
            raise
