"""Watches how full RUNS is: while it is full no new runs are started, and a first import of many pictures must not fill it
for as long as finished runs are kept (`projections.retention`)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from core.work.processor.journal import Journal
from core.work.processor.retry import DISMISSED_TTL
from core.work.processor.settings import ProcessorSettings
from eventstore import EventStore
from pcloud.errors import Conflict, PCloudError
from projections.runs.projection import RunsProjection

__all__ = ["Fullness"]

log = logging.getLogger(__name__)
DROPPED = 2000  # runs per pass


class Fullness:
    """Reports to the journal if RUNS is full, or if the node accepts nothing new; before that it drops the oldest runs that are
    DONE."""

    def __init__(self, store: EventStore, runs: RunsProjection, journal: Journal, settings: ProcessorSettings) -> None:
        self._store, self._runs, self._journal, self._settings = store, runs, journal, settings

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.fullness_check)

    async def look(self) -> None:
        if self._store.problem:
            return
        try:
            # Shielded: before Python 3.12 the wait_for inside may swallow the cancellation that ends `watch`.
            info = await asyncio.shield(self._store.js.stream_info("RUNS"))
        except Exception as error:
            log.warning("RUNS can't be inspected: %s", error)
            return
        used, limit = info.state.bytes, info.config.max_bytes or -1
        if limit > 0 and used > self._settings.crowded * limit:
            await self._make_room()
        full = limit > 0 and used > self._settings.fullness * limit
        try:
            self._store.admit()
        except PCloudError as error:
            self._journal.full = f"no new runs are started: {error}"
            return
        self._journal.full = (
            f"no new runs are started: the record of runs uses {used} of {limit} bytes; retry or dismiss failed runs"
            if full
            else ""
        )

    async def _make_room(self) -> None:
        try:
            for run, sequence in await self._runs.oldest_done(DROPPED):
                with suppress(Conflict):  # it is being retried
                    await self._store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL, expected=sequence)
        except PCloudError as error:
            log.warning("old runs can't be dropped: %s", error)
