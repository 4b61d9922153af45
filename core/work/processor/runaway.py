"""Pauses an app whose runs cause each other without end, before it fills the log, and notifies the owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.access.audit import Audit
from pcloud.errors import PCloudError

__all__ = ["Runaways"]

log = logging.getLogger(__name__)
Pause = Callable[[str, str], Awaitable[object]]


class Runaways:
    """Made by `Runaways.open`; called with an app and the reason. For each app, one call of `pause` runs at a time."""

    def __init__(self, pause: Pause, audit: Audit) -> None:
        self._pause, self._audit = pause, audit
        self._pausing: dict[str, asyncio.Task[None]] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, pause: Pause, audit: Audit) -> AsyncGenerator[Runaways]:
        runaways = cls(pause, audit)
        try:
            yield runaways
        finally:
            tasks = list(runaways._pausing.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def __call__(self, app: str, reason: str) -> None:
        """Returns at once."""
        self._audit.refused("limit", f"app:{app}", "depth", reason, outcome="REJECTED")
        if app not in self._pausing:
            self._pausing[app] = asyncio.create_task(self._stop(app, reason), name=f"pause {app}")

    async def _stop(self, app: str, reason: str) -> None:
        try:
            log.warning("%s is paused: %s", app, reason)
            await self._pause(app, reason)
        except PCloudError as error:  # for example, it is being removed
            log.warning("%s can't be paused: %s", app, error)
        except Exception:
            log.exception("%s can't be paused", app)
        finally:
            del self._pausing[app]
