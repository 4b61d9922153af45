"""Which archives the log's object bucket keeps: those that an app runs with or may go back to, and those on their way in.

All others are deleted. A deletion that a kill interrupted is finished by the next one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.apps.life.nodes import AppNodes
from core.apps.protocols import Archives
from projections.directory import App, AppState

__all__ = ["Retention", "needed_archives"]


class Retention:
    def __init__(self, archives: Archives, nodes: AppNodes):
        self._archives = archives
        self._nodes = nodes
        self._arriving = Counter[str]()
        self._deleting = asyncio.Lock()

    @asynccontextmanager
    async def arriving(self, sha256: str) -> AsyncIterator[None]:
        """It is kept meanwhile, and after that if an app has it."""
        async with self._deleting:
            self._arriving[sha256] += 1
        try:
            yield
        finally:
            self._arriving[sha256] -= 1

    async def clean(self) -> None:
        """Delete what nobody needs. Raises `Unavailable`; the next time does the rest."""
        async with self._deleting:
            # In this order: one that stops arriving has an app by then, or none.
            found, arriving = await self._archives.names(), +self._arriving
            if unneeded := found - set(arriving):
                needed = {archive for app in self._nodes.all() for archive in needed_archives(app)}
                for name in sorted(unneeded - needed):
                    await self._archives.delete(name)

    async def sweep(self) -> None:
        """Remove what uploads left that a kill interrupted; only before there are new ones."""
        async with self._deleting:
            await self._archives.sweep()


def needed_archives(app: App) -> set[str]:
    """Of this version, of the one before, and while it is not certain that this one stays, of the one before that."""
    before = app.previous
    found = {app.archive, *([before.archive] if before else ())}
    if before is not None and app.state is AppState.UPGRADING and (earlier := before.before()) is not None:
        found.add(earlier.archive)
    return found
