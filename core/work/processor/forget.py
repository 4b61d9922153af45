"""Removes what an app, or a forgotten entity, leaves behind among the durable calls and runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from core.work.call import Job, decode_job
from core.work.processor.done_or_failed import RunExecutor, resume
from core.work.processor.durable_calls import is_settled, run_for
from core.work.processor.retry import DISMISSED_TTL
from core.work.processor.stored_run import stored_run
from eventstore import EventStore
from pcloud.errors import Corrupt, NotFound, Unavailable
from pcloud.subject import Ref, run_subjects, work_subjects
from projections.runs.log import FORGOTTEN
from projections.runs.projection import RunsProjection

__all__ = ["forget_entities", "forget_runs", "purge_work", "refuse_work"]

log = logging.getLogger(__name__)
PATIENCE = 30.0  # an app that filled another app's queue must not prevent its removal


async def refuse_work(store: EventStore, app: str, executor: RunExecutor) -> None:
    """End the durable calls that wait for a removed app as FAILED, so that each is recorded. Calls that can't be recorded
    within `PATIENCE` seconds are left to `purge_work`. Raises `Unavailable`."""
    try:
        async with asyncio.timeout(PATIENCE):
            async for job in _waiting(store, app):
                run = run_for(job, executor.settings)
                before = await stored_run(store.runs, run)
                if before is None or not is_settled(job, before):
                    await executor.refuse(
                        resume(run, before), NotFound(f"the app {app} was removed before this call was made")
                    )
    except TimeoutError:
        log.warning("not all durable calls that waited for %s could be recorded as failed; the others are dropped", app)


async def _waiting(store: EventStore, app: str) -> AsyncGenerator[Job, None]:
    """Yield the calls that are not acknowledged, oldest first, including those in progress."""
    sequence = 0
    while True:
        try:
            found = await asyncio.shield(store.js.get_msg("WORK", sequence + 1, subject=work_subjects(app), next=True))
        except NotFoundError:
            return
        except NatsError as error:
            raise Unavailable(f"the durable calls of {app} can't be read: {error!r}") from error
        sequence = found.seq or 0
        try:
            yield decode_job(found.data or b"")
        except Corrupt as error:
            log.error("%s; it is dropped", error)


async def purge_work(store: EventStore, app: str) -> None:
    """Drop the durable calls that wait for the app, and its consumer. Raises `Unavailable`. Repeating it changes
    nothing."""
    try:
        await asyncio.shield(store.js.purge_stream("WORK", subject=work_subjects(app)))
        with suppress(NotFoundError):
            await asyncio.shield(store.js.delete_consumer("WORK", f"work_{app}"))
    except NatsError as error:
        raise Unavailable(f"the durable calls of {app} can't be dropped: {error!r}") from error


async def forget_runs(store: EventStore, runs: RunsProjection, app: str, triggers: Sequence[str]) -> None:
    """Remove every record of runs of the app's actions, and of other apps' runs that its triggers caused; a mark in RUNS
    notifies the views. Raises `Unavailable`."""
    try:
        await asyncio.shield(store.js.purge_stream("RUNS", subject=run_subjects(app)))
    except NatsError as error:
        raise Unavailable(f"the record of the runs of {app} can't be purged: {error!r}") from error
    action, id = FORGOTTEN
    await store.runs.put(app, action, id, b"", DISMISSED_TTL)
    for trigger in triggers:
        after: str | None = None
        while True:
            page = await runs.list(trigger=trigger, first=1000, after=after)
            others = [run for run in page.runs if run.app != app]
            await asyncio.gather(*(store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL) for run in others))
            if (after := page.after) is None:
                break


async def forget_entities(store: EventStore, runs: RunsProjection, refs: Sequence[Ref]) -> None:
    """Remove every record of runs that these entities' events began: they hold arguments. Raises `Unavailable`."""
    for run in await runs.about([str(ref) for ref in refs]):
        await store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL)
