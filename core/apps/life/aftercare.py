"""What is seen to by itself after anything was done to any app, and now and then:

- an app that is on its way with nobody at work on it, as after an error of the log in the middle of an upgrade, is gone on with;
- one that should run and does not is started, one that should stand still is stopped;
- one that may reach a port which was not there when it started is started anew;
- archives that no app needs any more are deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.apps.life.parts import AppParts
from pcloud.errors import PCloudError
from projections.directory import App, AppState

__all__ = ["Aftercare", "is_stranded"]

log = logging.getLogger("pcloud.app")
EVERY = 30.0


class Aftercare:
    """`go_on`: have the app brought to where its node says, however often that takes. `restart`: with the ports of now."""

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
        """Something was done to an app."""
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._see_to_apps()
                await self._parts.retention.clean()
            except PCloudError as error:
                log.warning("apps could not be seen to, trying again in %.0f s: %s", EVERY, error)
            except Exception:
                log.exception("apps could not be seen to, trying again in %.0f s", EVERY)
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
            apps = {app.name: app for app in self._parts.nodes.all()}
            running = {name for name, app in apps.items() if app.state is AppState.RUNNING}
            for name, app in apps.items():
                if local.busy(name):
                    continue
                if is_stranded(app, started=local.started(name)):
                    self._go_on(app)
                elif name in running and local.lacks_ports(name, of=running):
                    log.info("%s is started anew: it may reach a port that was not there before", name)
                    self._restart(app)


def is_stranded(app: App, *, started: bool) -> bool:
    """Whether an app on which nobody is at work is not where its node says. `started`: here, now."""
    if app.state is AppState.RUNNING:
        return not started
    if app.state is AppState.PAUSED:
        return started
    return app.state is not AppState.FAILED
