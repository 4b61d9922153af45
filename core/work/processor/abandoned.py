"""Ends the runs that nothing will continue, so that none of them is shown as unfinished for ever: those of a removed app or trigger,
and those that a cancelled replay leaves.

A run that was never begun leaves the record; one that was is FAILED, with the reason, and can be dismissed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from core.work.call import RoleAction, parse_stored
from core.work.processor.done_or_failed import told
from core.work.processor.journal import Journal
from core.work.processor.retry import DISMISSED_TTL
from core.work.processor.settings import ProcessorSettings
from core.work.processor.trigger_past import load_histories
from eventstore import EventStore
from pcloud.errors import Conflict, NotFound, PCloudError
from pcloud.subject import split_name
from projections.directory import Directory
from projections.runs.projection import RunsProjection
from projections.runs.record import Run, encode_run

__all__ = ["AbandonedRuns", "WhyAbandoned"]

log = logging.getLogger(__name__)
CATCH_UP = 10.0  # seconds that the view has to show what was recorded

WhyAbandoned = Callable[[Run], str]
"""Returns why nothing will continue an unfinished run; '' if something will."""


class AbandonedRuns:
    """`watch` looks at the start, when `look` is called, and from time to time, for what a crash left."""

    def __init__(
        self,
        store: EventStore,
        runs: RunsProjection,
        directory: Directory,
        journal: Journal,
        settings: ProcessorSettings,
    ) -> None:
        self._store, self._runs, self._directory, self._journal = store, runs, directory, journal
        self._settings = settings
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Look soon."""
        self._wake.set()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.end(self._of_what_is_gone)
            except PCloudError as error:
                log.warning("abandoned runs can't be ended now: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.abandoned_check):
                    await self._wake.wait()

    async def end(self, why: WhyAbandoned) -> int:
        """End the abandoned ones among the unfinished runs, and return their number. Raises `Unavailable`."""
        await self._view_has_all()
        ended = 0
        for run, sequence in await self._runs.unfinished():
            if reason := why(run):
                ended += await self._end(run, sequence, reason)
        return ended

    async def _view_has_all(self) -> None:
        """The states of these runs are written a moment after they are noted, and folded after that."""
        await asyncio.sleep(2 * self._settings.record_delay)
        last = await self._store.runs.last_sequence()
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP):
                while self._runs.checkpoint.sequence < last:  # noqa: ASYNC110 - the view reports no changes
                    await asyncio.sleep(0.02)

    async def _end(self, run: Run, sequence: int, reason: str) -> bool:
        """Return False if the run has another state meanwhile."""
        self._journal.withdraw(run)
        body, ttl = b"", DISMISSED_TTL
        if run.attempt:
            error = told(NotFound(reason))
            body = encode_run(
                msgspec.structs.replace(run, state="FAILED", ended=time.time(), next_attempt=None, error=error)
            )
            ttl = None
        try:
            await self._store.runs.put(run.app, run.action, run.id, body, ttl, expected=sequence)
        except Conflict:
            return False
        return True

    def _of_what_is_gone(self, run: Run) -> str:
        app, trigger = split_name(run.trigger) if run.trigger else (self._worker(run), "")
        if not self._directory.is_here(app):
            return f"the app {app} was removed before this run ended"
        past = load_histories(self._directory, [run.trigger]).get(run.trigger) if trigger else None
        if past is not None and past.state == "REMOVED":
            return f"the trigger {run.trigger} was removed before this run ended"
        return ""

    def _worker(self, run: Run) -> str:
        """Return the app that makes a run without a trigger."""
        if run.kind == "init":
            return run.actor.removeprefix("app:")
        if run.target and isinstance(target := parse_stored(run.target), RoleAction):
            with suppress(NotFound):
                return self._directory.holder(target.role)
        return run.app
