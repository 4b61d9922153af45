"""Notifies an app, by its internal action `callers-changed`, that a caller has lost a right to call it; the app then asks for its callers.

Nothing is stored for this: the rights are in the log, and such an app asks when it starts. Its process ends with core's at the latest. If
core dies before it has notified an app, the app's next process, started by the next core, asks again. A running app that does not answer
is notified again and again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from core.access.caller import CORE
from core.work.call.callers import CALLERS_CHANGED, callers_of
from pcloud.errors import PCloudError
from projections.directory import AppState, Changed, Directory

__all__ = ["Notices"]

log = logging.getLogger("pcloud.call")
FIRST, LONGEST = 0.5, 30.0  # seconds before an app is notified again
PATIENCE = 10.0  # seconds that the revoking request waits
STILL = (AppState.PAUSED, AppState.FAILED, AppState.REMOVING)  # without a process; the next process asks
Right = tuple[str, str, int]  # caller, action, since


class Notices:
    """`call`: as `Calls.call`. `run` is the loop."""

    def __init__(self, directory: Directory, call: Callable[..., Awaitable[Any]]) -> None:
        self._directory = directory
        self._call = call
        self._known: dict[str, set[Right]] = {}  # by app: all rights that it may believe in
        self._changed = asyncio.Event()
        self._told = asyncio.Event()

    async def settled(self) -> None:
        """Wait until every app knows the current rights, for `PATIENCE` at most."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._told.wait()
        except TimeoutError:
            log.warning("an app does not know yet which callers lost a right to call it; it is notified again")

    async def run(self) -> None:
        """Until cancelled."""
        off = self._directory.on_changed(self._on_changed)
        self._changed.set()
        pause = FIRST
        try:
            while True:
                self._changed.clear()
                if await self._tell_all():
                    pause = FIRST
                    if not self._changed.is_set():
                        self._told.set()
                    await self._changed.wait()
                else:
                    await self._wait(pause)
                    pause = min(2 * pause, LONGEST)
        finally:
            off()

    # --- within ------------------------------------------------------------------------------------------------------------------

    def _on_changed(self, changed: Changed) -> None:
        if changed.touches("App", "Grant", "Device", "Capability"):
            for name in self._listening():
                self._known.setdefault(name, set()).update(self._rights(name))
            self._told.clear()
            self._changed.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _tell_all(self) -> bool:
        """Return True if all apps are up to date."""
        return all(await asyncio.gather(*(self._tell(name) for name in self._listening())))

    async def _tell(self, name: str) -> bool:
        now, known = self._rights(name), self._known.get(name, set())
        self._known[name] = set(now)  # rights that come while the app asks are added
        if known <= now or self._directory.app(name).state in STILL:
            return True
        try:
            await self._call(CORE, f"{name}/{CALLERS_CHANGED}", {})
        except PCloudError as error:
            self._known[name] |= known
            log.warning("%s could not be notified of callers that lost a right to call it: %s", name, error.message)
            return False
        return True

    def _listening(self) -> list[str]:
        return [name for name in self._directory.records.apps if self._directory.is_internal(name, CALLERS_CHANGED)]

    def _rights(self, name: str) -> set[Right]:
        callers = callers_of(self._directory, name)
        return {(caller, action, since) for caller, rights in callers.items() for action, since in rights.items()}
