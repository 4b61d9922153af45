"""Which archives the log's object bucket keeps: those that an app runs with or may return to, and those being uploaded.

All others are deleted. The next deletion finishes one that a kill interrupted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.apps.life.app_registry import AppRegistry
from core.apps.protocols import Archives
from projections.directory import App, AppState

__all__ = ["KeptArchives", "needed_archives"]


class KeptArchives:
    def __init__(self, archives: Archives, registry: AppRegistry):
        self._archives = archives
        self._registry = registry
        self._arriving = Counter[str]()
        self._deleting = asyncio.Lock()

    @asynccontextmanager
    async def arriving(self, sha256: str) -> AsyncGenerator[None]:
        """Keep the archive during this context, and afterwards if an app uses it."""
        async with self._deleting:
            self._arriving[sha256] += 1
        try:
            yield
        finally:
            self._arriving[sha256] -= 1

    def keep_during(self, sha256: str, work: asyncio.Task[None]) -> None:
        """Keep the archive until this work on an app is done, too: an upgrade stops the app and copies its data before the log names
        the new archive, which can take longer than the time between two deletions. Call it within `arriving`."""
        self._arriving[sha256] += 1
        work.add_done_callback(lambda _: self._arriving.subtract([sha256]))

    async def clean(self) -> None:
        """Delete archives that are not needed. Raises `Unavailable`; the next call deletes the rest."""
        async with self._deleting:
            # In this order: when an archive stops arriving, either an app has it by then or it is not needed.
            found, arriving = await self._archives.names(), +self._arriving
            if unneeded := found - set(arriving):
                needed = {archive for app in self._registry.all() for archive in needed_archives(app)}
                for name in sorted(unneeded - needed):
                    await self._archives.delete(name)

    async def sweep(self) -> None:
        """Remove the remains of uploads that a kill interrupted; call it only before new uploads begin."""
        async with self._deleting:
            await self._archives.sweep()


def needed_archives(app: App) -> set[str]:
    """The archives of this version, of the one before, and of the one before that while this version is not yet settled."""
    before = app.previous
    found = {app.archive, *([before.archive] if before else ())}
    if before is not None and app.state is AppState.UPGRADING and (earlier := before.before()) is not None:
        found.add(earlier.archive)
    return found
