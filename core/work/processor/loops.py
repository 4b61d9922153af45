"""The loops of an attached app: its durable calls, and for each trigger the new and the past events. Each
continues independently after an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.work.call import CommandWriter
from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.consumers import TriggerConsumers
from core.work.processor.durable_calls import WorkLoop
from core.work.processor.keyed_order import KeyedOrder
from core.work.processor.restart import cancelled, keep_running
from core.work.processor.trigger_loop import Side, TriggerLoop, TriggerParts
from core.work.processor.trigger_past import save_histories
from pcloud.subject import work_subjects
from projections.directory import TriggerPast

__all__ = ["Loops"]

log = logging.getLogger(__name__)


class Loops:
    """Starts and stops the loops; they wait while `running` is not set."""

    def __init__(
        self, parts: TriggerParts, consumers: TriggerConsumers, commands: CommandWriter, running: asyncio.Event
    ) -> None:
        self._parts, self._consumers, self._commands, self._running = parts, consumers, commands, running
        self._settings = parts.executor.settings
        self._same: KeyedOrder[str] = KeyedOrder()

    def start(self, app: AttachedApp) -> None:
        self._spawn(app, f"work {app.name}", lambda: self._work(app.name))
        for trigger in app.triggers.values():
            self._spawn(app, f"live {trigger.compiled.key}", lambda trigger=trigger: self._seen(trigger, self._live))
            self.start_history(app, trigger)

    async def stop(self, app: AttachedApp) -> None:
        await cancelled(app.tasks)
        app.tasks.clear()

    def start_history(self, app: AttachedApp, trigger: AttachedTrigger) -> None:
        """Continue the trigger's history or replay; do nothing if it is over or paused."""
        if trigger.history.state in ("RESETTING", "RUNNING"):
            trigger.history_task = self._spawn(
                app, f"history {trigger.compiled.key}", lambda: self._seen(trigger, self._history)
            )

    async def stop_history(self, app: AttachedApp, trigger: AttachedTrigger) -> None:
        """Abandon what is in progress; it is delivered again when the history is continued."""
        if trigger.history_task is not None:
            await cancelled([trigger.history_task])
            app.tasks.remove(trigger.history_task)
            trigger.history_task = None

    async def reset(self, trigger: AttachedTrigger) -> None:
        """Move a history that is RESETTING to its beginning; it is RUNNING then."""
        compiled, history = trigger.compiled, trigger.history
        # Making the consumer again drops the position, deliveries in progress and late acknowledgements of an earlier replay.
        await self._consumers.delete(compiled.app, compiled.name, "history")
        await self._consumers.history(compiled, history)
        if history.matched < 0:
            matched = await self._consumers.count_range(compiled.subject(history.only), history.since, history.until)
            history = msgspec.structs.replace(history, matched=matched)
        await self.record(trigger, msgspec.structs.replace(history, state="RUNNING"))

    async def record(self, trigger: AttachedTrigger, history: TriggerPast) -> None:
        await save_histories(self._commands, [history])
        trigger.history = history

    async def _seen(self, trigger: AttachedTrigger, work: Callable[[AttachedTrigger], Awaitable[None]]) -> None:
        await self._parts.sight.while_seen(trigger.compiled, lambda: work(trigger))

    async def _live(self, trigger: AttachedTrigger) -> None:
        consumer = await self._consumers.live(trigger.compiled, trigger.history)
        await self._consumers.ask_again("GRAPH", consumer, trigger.compiled.subject())
        await TriggerLoop(self._parts, trigger.compiled, Side(consumer, trigger.live_slots)).run()

    async def _history(self, trigger: AttachedTrigger) -> None:
        """Process the history, from its reset to the record of its end."""
        if trigger.history.state == "RESETTING":
            await self.reset(trigger)
        compiled, history = trigger.compiled, trigger.history
        consumer = await self._consumers.history(compiled, history)
        await self._consumers.ask_again("GRAPH", consumer, compiled.subject(history.only))
        side = Side(consumer, trigger.history_slots, history.generation, history.until, history.only)
        await TriggerLoop(self._parts, compiled, side).run()
        await consumer.pause()
        await self.record(trigger, msgspec.structs.replace(history, state="DONE"))
        log.info("the history of %s is done, up to %s", compiled.key, history.until)

    async def _work(self, app: str) -> None:
        consumer = await self._parts.store.work.consumer(
            app, ack_wait=self._settings.ack_wait, max_ack_pending=self._settings.held
        )
        await self._consumers.ask_again("WORK", consumer, work_subjects(app))
        await WorkLoop(self._parts, consumer, self._same).run()

    def _spawn(self, app: AttachedApp, name: str, loop: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        async def work() -> None:
            await self._running.wait()
            await keep_running(name, loop, longest_pause=self._settings.pause_after_error, well=self._parts.store.well)

        task = asyncio.create_task(work(), name=name)
        app.tasks.append(task)
        return task
