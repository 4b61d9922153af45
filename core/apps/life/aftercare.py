"""Corrects the state of apps after each change to any app, and at intervals:

- continues an app's interrupted work that no task is doing, as after an error of the log in the middle of an
  upgrade;
- starts an app that should run and does not, and stops one that should not run;
- restarts an app that may reach a port which did not exist when it started;
- when the disk gets full, drops copies of an app's data that keep what the app deletes;
- deletes archives that no app needs any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.apps.life.parts import AppParts
from pcloud.errors import PCloudError, Unavailable
from projections.directory import App, AppState

__all__ = ["Aftercare", "is_stranded"]

log = logging.getLogger("pcloud.app")
EVERY = 30.0


class Aftercare:
    """`go_on`: bring the app to its recorded state, with as many attempts as that takes. `restart`: restart it with the current ports."""

    def __init__(self, parts: AppParts, go_on: Callable[[App], None], restart: Callable[[App], None]):
        self._parts = parts
        self._go_on = go_on
        self._restart = restart
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="see to apps")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def look(self) -> None:
        """Check soon: an app was changed."""
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._see_to_apps()
                await self._parts.kept_archives.clean()
            except PCloudError as error:
                log.warning("the state of the apps could not be corrected, trying again in %.0f s: %s", EVERY, error)
            except Exception:
                log.exception("the state of the apps could not be corrected, trying again in %.0f s", EVERY)
            try:
                async with asyncio.timeout(EVERY):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            finally:
                self._wanted.clear()

    async def _see_to_apps(self) -> None:
        local = self._parts.local
        async with local.deciding:
            apps = {app.name: app for app in self._parts.registry.all()}
            running = {name for name, app in apps.items() if app.state is AppState.RUNNING}
            for name, app in apps.items():
                if local.busy(name):
                    continue
                if is_stranded(app, started=local.started(name)):
                    self._go_on(app)
                elif name in running and local.lacks_ports(name, of=running):
                    log.info("restarting %s: it may reach a port that did not exist before", name)
                    self._restart(app)
            for name in running:
                if not local.busy(name):
                    await self._make_room(name)

    async def _make_room(self, name: str) -> None:
        try:
            dropped = await asyncio.to_thread(self._parts.snapshots(name).drop_if_short)
        except Unavailable as error:
            log.warning("%s: the copy of its data can't be dropped: %s", name, error)
            return
        if dropped:
            log.warning(
                "%s: the disk gets full, so the copy of its data from before its last upgrade was dropped, which kept "
                "what was deleted since: a rollback finds the data as it is",
                name,
            )


def is_stranded(app: App, *, started: bool) -> bool:
    """Return True if an app that no task is working on differs from its recorded state. `started`: it was started here by this process."""
    if app.state is AppState.RUNNING:
        return not started
    if app.state is AppState.PAUSED:
        return started
    return app.state is not AppState.FAILED
