"""Takes one run from its first attempt to its end: DONE, or FAILED with the last error.

A failed attempt is repeated after a growing pause, as often as allowed; the pause holds no slot. `REJECTED` is
final at once, since the same arguments would be rejected again. If the app is not running, that is not an attempt: the run
waits for the app. While what apps know can't be queried, or the disk is full, no attempt begins, and one that failed in that time
does not count."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core.work.call import CallAnswer, HandlerFailed, NoInstance
from core.work.processor.backoff import Backoff
from core.work.processor.journal import Journal
from core.work.processor.settings import ProcessorSettings
from core.work.processor.slots import Slots
from pcloud.errors import PCloudError, Rejected
from projections.runs.record import Run, RunError

__all__ = ["Attempt", "RunExecutor", "resume"]

log = logging.getLogger(__name__)

Final = tuple[type[PCloudError], ...]
Attempt = Callable[[Run], Awaitable[CallAnswer]]
"""Makes the call of a run once. Raises `HandlerFailed`, `NoInstance` or another `PCloudError`."""


@dataclass(frozen=True, slots=True)
class RunExecutor:
    """Shared by all triggers and durable calls. Once `stopping` is set no attempt begins, and waiting runs are left as they are. `away`:
    why no run may be attempted now; '' if runs may."""

    journal: Journal
    settings: ProcessorSettings
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    away: Callable[[], str] = lambda: ""

    async def execute(
        self, run: Run, attempt: Attempt, slots: Slots, *, backoff: Backoff | None = None, final: Final = (Rejected,)
    ) -> Run:
        """Return the run in its last state, which is stored. If cancelled, leave the run as it is, to be continued later.
        `backoff`: pauses other than the settings'; `final`: errors after which another attempt can't help."""
        backoff = backoff or self.settings.backoff
        absences = 0
        while True:
            while self.away():
                await self._pause(self.settings.absence_wait)
            async with slots.take():
                self._go_on()
                run = msgspec.structs.replace(
                    run,
                    state="IN_PROGRESS",
                    attempt=run.attempt + 1,
                    started=run.started or time.time(),
                    next_attempt=None,
                )
                await self.journal.begin(run)
                outcome = await self._attempt(run, attempt)
            if isinstance(outcome, CallAnswer):
                # The answer is not stored: it may be a secret, such as a key pair or a presigned address.
                return await self._settle(run, "DONE", error=None)
            if isinstance(outcome, NoInstance) or self.away():
                absences += 1
                pause = min(self.settings.absence_wait, 0.1 * 2 ** min(absences, 10)) * random.uniform(0.5, 1)  # noqa: S311
                run = msgspec.structs.replace(run, state="NEW", attempt=run.attempt - 1, error=told(outcome))
            elif is_final(outcome, final) or run.attempt >= run.attempts:
                return await self.refuse(run, outcome)
            else:
                absences = 0
                pause = backoff.delay(run.attempt)
                run = msgspec.structs.replace(run, error=told(outcome), next_attempt=time.time() + pause)
            if absences > 1:
                self.journal.withdraw(run)  # it now shows that the app is away
            else:
                self.journal.note(run)
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        self._go_on()

    def _go_on(self) -> None:
        if self.stopping.is_set():
            raise asyncio.CancelledError

    async def refuse(self, run: Run, error: Exception) -> Run:
        """Settle a run as FAILED with this error; it is not tried again."""
        failed = await self._settle(run, "FAILED", error=told(error))
        log.warning("run %s of %s/%s failed: %s", run.id, run.app, run.action, error)
        return failed

    async def _attempt(self, run: Run, attempt: Attempt) -> CallAnswer | Exception:
        try:
            return await attempt(run)
        except Exception as error:
            if not isinstance(error, HandlerFailed | PCloudError):
                log.exception("run %s of %s/%s could not be made", run.id, run.app, run.action)
            return error

    async def _settle(self, run: Run, state: str, **changes: Any) -> Run:
        run = msgspec.structs.replace(run, state=state, ended=time.time(), next_attempt=None, **changes)
        await self.journal.settle(run)
        return run


def resume(run: Run, before: Run | None) -> Run:
    """Continue a run that is met again, after core or the app's node died: with the attempt that was in progress, and
    with its first arguments."""
    if before is None or before.generation != run.generation or before.state not in ("NEW", "IN_PROGRESS"):
        return run
    waiting = before.state == "NEW" or before.next_attempt is not None
    return msgspec.structs.replace(
        run,
        args=before.args or run.args,
        attempt=before.attempt if waiting else max(0, before.attempt - 1),
        created=before.created,
        started=before.started,
        error=before.error,
    )


def is_final(error: Exception, final: Final = (Rejected,)) -> bool:
    """Return True if another attempt can't help."""
    return isinstance(error.error if isinstance(error, HandlerFailed) else error, final)


def told(error: Exception) -> RunError:
    """Return the error in the form of the run's record."""
    if isinstance(error, HandlerFailed):
        return RunError(error.error.code, error.error.message, error.traceback)
    if isinstance(error, PCloudError):
        return RunError(error.code, error.message, "")
    return RunError("INTERNAL", f"core failed at this: {error!r}", "".join(traceback.format_exception(error))[-20_000:])
