"""Pulls one consumer of a trigger, live or history, and takes every matching event through its run to the
acknowledgement.

An event is acknowledged when its run is DONE or FAILED, or if it does not match; until then core reports to the server
again and again that it is in progress. So if core or the app dies, the event is delivered again, and continues with the
run that is stored in RUNS."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from core.access.caller import MAX_DEPTH, Caller, RunContext
from core.trace import NO_TRACES, Tracer
from core.trace.about import About
from core.work.call import CallAnswer, Calls, parse_target, trigger_run_id
from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.done_or_failed import RunExecutor, resume
from core.work.processor.entity import describe_event, read_entity
from core.work.processor.held import HeldDeliveries
from core.work.processor.keyed_order import KeyedOrder
from core.work.processor.read_graph import ReadGraph
from core.work.processor.sight import Sight
from core.work.processor.slots import Slots
from core.work.processor.stored_run import stored_run
from eventstore import EventConsumer, EventDelivery, EventStore
from pcloud.errors import PCloudError, Rejected
from pcloud.event import Kind, StoredEvent
from pcloud.revision import Revision
from projections.runs.record import Run

__all__ = ["Runaway", "Side", "TriggerLoop", "TriggerParts"]

log = logging.getLogger(__name__)
AGAIN = 5.0
BATCH = 64
PORTION = 32


Runaway = Callable[[str, str], None]
"""Called with an app and the reason why it has to stop: its runs caused each other beyond the limit."""


@dataclass(slots=True)
class TriggerParts:
    """What all loops share: those of triggers, and that of an app's durable calls."""

    store: EventStore
    graph: ReadGraph
    calls: Calls
    executor: RunExecutor
    sight: Sight
    runaway: Runaway = lambda app, reason: None
    tracer: Tracer = NO_TRACES


@dataclass(frozen=True, slots=True)
class Side:
    """Which of a trigger's two consumers this is. `until`: the last sequence that it covers (None: live, without end).
    `only`: the one entity that it covers ('' for all). `generation`: of its runs."""

    consumer: EventConsumer
    slots: Slots
    generation: int = 0
    until: int | None = None
    only: str = ""

    @property
    def replay(self) -> bool:
        return self.until is not None


class TriggerLoop:
    """`run()` ends, for a history, when everything up to `until` is settled; a live one when it is cancelled."""

    def __init__(self, parts: TriggerParts, compiled: CompiledTrigger, side: Side) -> None:
        self._parts, self._compiled, self._side = parts, compiled, side
        self._settings = parts.executor.settings
        self._caller = Caller("app", compiled.app)
        self._order: KeyedOrder[str] = KeyedOrder()
        # The past comes in small portions: everything that ends at the same moment continues at once, before new events get a turn.
        held = min(self._settings.held, compiled.concurrency + PORTION) if side.replay else self._settings.held
        self._held = HeldDeliveries(held, self._settings.ack_wait)

    @property
    def held(self) -> int:
        """Number of events that are pulled and not settled."""
        return len(self._held)

    async def run(self) -> None:
        async with self._held:
            try:
                await self._pull()
                await self._held.empty()
            except asyncio.CancelledError:
                if self._parts.sight.of(self._compiled) is not None:
                    await self._held.drain(self._settings.drain)
                raise

    async def _pull(self) -> None:
        if self._side.until is None:
            await self._pull_until(sys.maxsize)
            return
        pulling = asyncio.create_task(self._pull_until(self._side.until))
        ended = asyncio.create_task(self._end_of_history())
        try:
            await asyncio.wait((pulling, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pulling, ended):
                task.cancel()
            done = await asyncio.gather(pulling, ended, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, Exception):
                raise outcome

    async def _pull_until(self, until: int) -> None:
        async with aclosing(self._side.consumer.pull(batch=PORTION if self._side.replay else BATCH)) as deliveries:
            async for delivery in deliveries:
                if delivery.event.sequence > until:
                    return
                if self._concerns(delivery.event):
                    await self._held.take(delivery.event.sequence, delivery, partial(self._handle, delivery))
                else:
                    await delivery.ack()

    def _concerns(self, event: StoredEvent) -> bool:
        seen = self._parts.sight.demand(self._compiled)
        return self._compiled.matches(event, seen) and self._side.only in ("", event.ref.id)

    async def _end_of_history(self) -> None:
        """Return when the consumer has nothing left: there may be no event beyond `until` to mark the end."""
        while True:
            await self._held.empty()
            position = await self._side.consumer.position()
            if position.pending == 0 and position.ack_pending == 0:
                return
            await asyncio.sleep(0.2)

    async def _handle(self, delivery: EventDelivery) -> None:
        """Take one event to its end; on an internal error it is delivered again."""
        event, again = delivery.event, delivery.attempt > 1
        if self._compiled.ordered:
            # Given back to the server, it would be overtaken by the entity's later events, so it is tried again here.
            async with self._order.after_earlier(str(event.ref)):
                while not await self._settled(event, again):
                    await asyncio.sleep(AGAIN)
                    await self._parts.store.well()
                    again = True
        elif not await self._settled(event, again):
            await delivery.nak(AGAIN)
            return
        await delivery.ack()

    async def _settled(self, event: StoredEvent, again: bool) -> bool:
        """Return False after an internal error."""
        with About(app=self._compiled.app, run=trigger_run_id(self._compiled.key, event.sequence), tx=event.tx):
            try:
                await self._settle(event, again)
            except Exception as error:
                level = logging.WARNING if isinstance(error, PCloudError) else logging.ERROR
                said = "the event %s is delivered to %s again: %s"
                log.log(level, said, event.sequence, self._compiled.key, error, exc_info=level > 30)
                return False
        return True

    async def _settle(self, event: StoredEvent, again: bool) -> None:
        self._parts.sight.demand(self._compiled)
        run = self._new_run(event)
        if again:
            before = await stored_run(self._parts.store.runs, run)
            if before is not None and before.generation >= run.generation and before.state in ("DONE", "FAILED"):
                return
            run = resume(run, before)
        if event.depth + 1 > MAX_DEPTH:
            looped = Rejected(
                f"{self._compiled.key}: {event.depth} runs caused each other, which looks like a loop: does its action change "
                "what the trigger reacts to? Narrow it by `fields` or `where`"
            )
            await self._parts.executor.refuse(run, looped)
            self._parts.runaway(self._compiled.app, looped.message)
            return
        try:
            args = await self._arguments(event)
        except Rejected as error:
            await self._parts.executor.refuse(run, error)
            return
        if args is None:
            return
        run = msgspec.structs.replace(run, args=run.args or args)
        self._parts.executor.journal.note(run)
        # The work of a replay does not belong to the original trace.
        parent = "" if self._side.replay else event.traceparent
        with self._parts.tracer.span(f"run {self._compiled.key}", "consumer", parent, pcloud__run=run.id) as span:
            ended = await self._parts.executor.execute(run, self._attempt(event), self._side.slots)
            if ended.error is not None:
                span.fail(ended.error.code)

    def _new_run(self, event: StoredEvent) -> Run:
        app, action = self._compiled.label
        return Run(
            id=trigger_run_id(self._compiled.key, event.sequence), app=app, action=action, trigger=self._compiled.key, kind="trigger",
            state="NEW", entity=str(event.ref), sequence=event.sequence, generation=self._side.generation, attempt=0,
            attempts=self._compiled.attempts, args={}, actions=dict(self._compiled.actions), actor=self._caller.actor, cause=event.tx,
            depth=event.depth + 1, error=None, created=time.time(), started=None, ended=None, next_attempt=None,
        )  # fmt: skip

    async def _arguments(self, event: StoredEvent) -> dict[str, Any] | None:
        """Return the rendered arguments; None if `where` does not hold."""
        view = self._parts.graph.views.app(self._compiled.app)
        node = None
        if self._compiled.needs_entity and event.kind is not Kind.DELETED:
            await self._parts.graph.loop.wait_for(max(event.sequence, self._parts.graph.views.declared))
            view = self._parts.graph.views.app(self._compiled.app)
            node = await read_entity(self._parts.graph.reader, view, self._compiled, event.ref.id)
            if node is None:
                return None
        revision = str(Revision(self._parts.store.epoch, event.sequence))
        args = self._compiled.arguments.render(describe_event(view, self._compiled, event, revision), node)
        return self._parts.calls.check_size(self._compiled.key, args)

    def _attempt(self, event: StoredEvent) -> Callable[[Run], Any]:
        calls, compiled, replay = self._parts.calls, self._compiled, self._side.replay
        revision = str(Revision(self._parts.store.epoch, event.sequence))

        async def attempt(run: Run) -> CallAnswer:
            name = calls.authorization.resolve(self._caller, parse_target(compiled.target))
            args = calls.check(name, run.args, run.actions)
            context = RunContext(run.id, run.generation, run.cause, run.depth, replay)
            return await calls.invoker.invoke(
                self._caller, name, args, context, actions=run.actions, revision=revision, attempt=run.attempt, start_wait=0.0
            )  # fmt: skip

        return attempt
