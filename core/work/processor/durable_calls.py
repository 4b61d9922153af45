"""Makes the durable calls of one app: those that `send` stored in WORK, and failed runs that the owner retries.

A call is acknowledged when its run is DONE or FAILED. A call whose run is DONE already, by an earlier delivery or the
same key sent again, is acknowledged without being made, so it takes effect once. Whether the caller may call is decided again
at each attempt; if the right has ended the run is FAILED at once, so that it does not hold up other calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from core.access.caller import RunContext
from core.trace.about import About
from core.work.call import CallAnswer, Job, Refused, decode_job
from core.work.processor.done_or_failed import resume
from core.work.processor.held import HeldDeliveries
from core.work.processor.keyed_order import KeyedOrder
from core.work.processor.settings import ProcessorSettings
from core.work.processor.slots import Slots
from core.work.processor.stored_run import stored_run
from core.work.processor.trigger_loop import TriggerParts
from eventstore import DurableConsumer, WorkDelivery
from pcloud.errors import Corrupt, Forbidden, PCloudError, Rejected
from pcloud.subject import Ref, split_name
from projections.runs.record import Run

__all__ = ["WorkLoop", "is_settled", "run_for"]

log = logging.getLogger(__name__)
AGAIN = 5.0
BATCH = 64
FINAL = (Rejected, Refused)


class WorkLoop:
    """`run()` works until it is cancelled."""

    def __init__(self, parts: TriggerParts, consumer: DurableConsumer[WorkDelivery], same: KeyedOrder[str]) -> None:
        self._runs, self._consumer = parts.store.runs, consumer
        self._calls, self._executor = parts.calls, parts.executor
        self._sight, self._tracer = parts.sight, parts.tracer
        self._settings = parts.executor.settings
        self._slots = Slots(self._settings.send_concurrency)
        self._held = HeldDeliveries(self._settings.held, self._settings.ack_wait)
        self._same = same

    async def run(self) -> None:
        async with self._held:
            try:
                await self._pull()
            except asyncio.CancelledError:
                await self._held.drain(self._settings.drain)
                raise

    async def _pull(self) -> None:
        async with aclosing(self._consumer.pull(batch=BATCH)) as deliveries:
            async for delivery in deliveries:
                await self._held.take(delivery.sequence, delivery, partial(self._handle, delivery))

    async def _handle(self, delivery: WorkDelivery) -> None:
        with About(app=delivery.app, run=delivery.id):
            await self._make(delivery)

    async def _make(self, delivery: WorkDelivery) -> None:
        try:
            job = decode_job(delivery.body)
            # Two deliveries of one run: the second finds the result of the first.
            async with self._same.after_earlier(job.id):
                await self._settle(job, delivery.headers.get("traceparent", ""))
            await delivery.ack()
        except Corrupt as error:
            log.error("%s; it is dropped", error)
            await delivery.ack()
        except Exception as error:
            level = logging.WARNING if isinstance(error, PCloudError) else logging.ERROR
            log.log(level, "the durable call %s is delivered again: %s", delivery.subject, error, exc_info=level > 30)
            await delivery.nak(AGAIN)

    async def _settle(self, job: Job, traceparent: str) -> None:
        run = run_for(job, self._settings)
        before = await stored_run(self._runs, run)
        if before is not None and is_settled(job, before):
            return
        run = resume(run, before)
        self._executor.journal.note(run)
        with self._tracer.span(f"run {job.app}/{job.action}", "consumer", traceparent, pcloud__run=run.id) as span:
            ended = await self._executor.execute(run, self._attempt(job), self._slots, final=FINAL)
            if ended.error is not None:
                span.fail(ended.error.code)

    def _attempt(self, job: Job) -> Callable[[Run], Any]:
        calls = self._calls

        async def attempt(run: Run) -> CallAnswer:
            caller, name = calls.authorization.reauthorize(job, partial(self._demand_sight, job))
            args = calls.check(name, run.args, run.actions)
            context = RunContext(run.id, run.generation, run.cause, run.depth, job.replay)
            return await calls.invoker.invoke(
                caller, name, args, context, actions=run.actions, revision=job.revision, attempt=run.attempt, start_wait=0.0
            )  # fmt: skip

        return attempt

    def _demand_sight(self, job: Job) -> None:
        """Raises `Forbidden` for a trigger's run that the owner retries, if its app may no longer see its entity."""
        app = split_name(job.trigger)[0]
        if app and job.entity and self._sight.seen(app, Ref.parse(job.entity).type_name) is None:
            raise Forbidden(f"{app} no longer has the grant to read what this run is about, {job.entity}")


def run_for(job: Job, settings: ProcessorSettings) -> Run:
    """Return the run of a durable call, before its first attempt."""
    return Run(
        id=job.id, app=job.app, action=job.action, trigger=job.trigger, kind=job.kind, target=job.target, entity=job.entity,
        sequence=job.sequence, generation=job.generation, attempts=job.attempts or settings.send_attempts, args=job.args,
        actions=job.actions, actor=job.actor, through=job.through, cause=job.cause, depth=job.depth, created=job.created,
    )  # fmt: skip


def is_settled(job: Job, before: Run) -> bool:
    """Return True if the run has ended since the job was made; a job that retries a FAILED run is newer than its end."""
    if before.generation < job.generation:
        return False
    return before.state == "DONE" or (before.state == "FAILED" and (before.ended or 0) >= job.created)
