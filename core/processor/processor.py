"""The event processor: keeps, for every attached app, its triggers' consumers and its durable calls going.

One app's trouble is its own: each consumer has its own loop, which is started again after a pause when it fails. What
a run is and when it ends is decided in `execute`; this file only knows who is attached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from core.call import Calls, Writer
from core.processor.execute import Executor
from core.processor.failed import DISMISSED_TTL, FailedRuns
from core.processor.history import CORE, History, load_histories, save_histories
from core.processor.journal import Journal
from core.processor.order import Order
from core.processor.plan import TriggerPlan, plan_trigger
from core.processor.redeliver import redeliver_pending
from core.processor.replay import Replays
from core.processor.settings import ProcessorSettings
from core.processor.slots import Slots
from core.processor.trigger import Side, TriggerLoop, TriggerParts
from core.processor.work import WorkLoop
from core.schema import ViewRegistry
from pcloud.errors import Conflict, NotFound, PCloudError, Unavailable
from pcloud.manifest import Manifest
from projections.graph.port import GraphStore
from projections.runs.record import Run
from projections.runs.view import RunsView

__all__ = ["AttachedApp", "AttachedTrigger", "InstalledApp", "Processor"]

log = logging.getLogger(__name__)
FIRST_PAUSE = 0.5
DROPPED = 2000  # runs at a time, when RUNS is crowded


class InstalledApp(Protocol):
    """What `attach` needs to know; `core.app.App` is one."""

    @property
    def name(self) -> str: ...
    @property
    def manifest(self) -> Manifest: ...


class AttachedTrigger:
    """One trigger with its two loops. Live ones have slots of their own, which the history's stand back for."""

    def __init__(self, plan: TriggerPlan, history: History) -> None:
        self.plan = plan
        self.history = history
        self.live_slots = Slots(plan.concurrency)
        self.history_slots = Slots(plan.concurrency, first=self.live_slots)
        self.history_task: asyncio.Task[None] | None = None

    def consumer_name(self, side: str) -> str:
        return f"trigger_{self.plan.app}_{self.plan.name}_{side}"


class AttachedApp:
    def __init__(self, name: str, triggers: Sequence[AttachedTrigger]) -> None:
        self.name = name
        self.triggers = {trigger.plan.name: trigger for trigger in triggers}
        self.tasks: list[asyncio.Task[None]] = []


class Processor:
    """`attach` may be called at any time; work is done while `run()` runs."""

    def __init__(
        self,
        store: Any,
        graph: GraphStore,
        graph_loop: Any,
        views: ViewRegistry,
        calls: Calls,
        commands: Writer,
        runs: RunsView,
        settings: ProcessorSettings | None = None,
    ) -> None:
        self.settings = settings or ProcessorSettings()
        self.store, self.graph, self.commands = store, graph, commands
        self.journal = Journal(store.runs, delay=self.settings.record_delay, done_ttl=self.settings.done_ttl)
        executor = Executor(self.journal, self.settings)
        self.parts = TriggerParts(store, graph, graph_loop, views, calls, executor)
        self.apps: dict[str, AttachedApp] = {}
        self.runs = runs
        self._replays = Replays(self)
        self._failed = FailedRuns(self, runs)
        self._same: Order[str] = Order()
        self._running = asyncio.Event()
        self._changing = asyncio.Lock()

    @property
    def problem(self) -> str:
        """Why no new runs are started; '' when they are."""
        return self.journal.problem

    async def run(self) -> None:
        """Work until cancelled; what is under way then is gone on with at the next start."""
        self._running.set()
        try:
            while True:
                await self._look_at_fullness()
                await asyncio.sleep(self.settings.fullness_check)
        finally:
            self._running.clear()
            self.parts.executor.stopping.set()
            await asyncio.gather(*(self._stop(app) for app in self.apps.values()))
            await self.journal.close()

    async def attach(self, app: InstalledApp) -> None:
        """Make the consumers of the app's triggers, or find them, and start to work. The first time, what is in the
        log by now is history, and what comes later is live. Raises `Rejected` for a trigger that can't work;
        attaching again changes nothing."""
        async with self._changing:
            if app.name in self.apps:
                return
            plans = [plan_trigger(app.manifest, trigger) for trigger in app.manifest.triggers]
            histories = await self._histories(plans)
            attached = AttachedApp(app.name, [AttachedTrigger(plan, histories[plan.key]) for plan in plans])
            for trigger in attached.triggers.values():
                await self._live_consumer(trigger)
            self.apps[app.name] = attached
            self._spawn(attached, f"work {app.name}", lambda: self._work(app.name))
            for trigger in attached.triggers.values():
                self._spawn(attached, f"live {trigger.plan.key}", lambda trigger=trigger: self._live(trigger))
                self.start_history(attached, trigger)

    async def detach(self, app: str) -> None:
        """Stop, and give the places in the log up; runs and what they wrote stay. For an app that is removed."""
        async with self._changing:
            attached = self.apps.pop(app, None)
            if attached is None:
                return
            await self._stop(attached)
            await self._give_up(app, list(attached.triggers))

    async def suspend(self, app: str) -> None:
        """Stop working for an app that is paused or about to be upgraded. Its places in the log stay: `attach` goes on
        there."""
        async with self._changing:
            if (attached := self.apps.pop(app, None)) is not None:
                await self._stop(attached)

    async def retire(self, app: str, triggers: Sequence[str]) -> None:
        """Give up the places in the log of triggers that another version of the app had; those attached are none of
        them. Doing it again changes nothing."""
        async with self._changing:
            await self._give_up(app, triggers)

    async def replay(
        self,
        trigger: str,
        start: str = "start",
        *,
        type: str = "",
        id: str = "",
        dry_run: bool = False,
        actor: str = CORE,
    ) -> dict[str, Any]:
        """Send events of the past through `app/trigger` again; see `Replays.replay`."""
        return await self._replays.replay(trigger, start, type=type, id=id, dry_run=dry_run, actor=actor)

    async def retry(self, run_id: str) -> Run:
        """Have a FAILED run made again; see `FailedRuns.retry`."""
        return await self._failed.retry(run_id)

    async def dismiss(self, run_id: str) -> Run:
        """Take a FAILED run off the list."""
        return await self._failed.dismiss(run_id)

    def trigger(self, key: str) -> tuple[AttachedApp, AttachedTrigger]:
        """The attached trigger `app/trigger`; raises `NotFound`."""
        app, _, name = key.partition("/")
        attached = self.apps.get(app)
        if attached is None or name not in attached.triggers:
            known = ", ".join(
                sorted(trigger.plan.key for one in self.apps.values() for trigger in one.triggers.values())
            )
            raise NotFound(f"there is no trigger {key!r}; there are: {known or 'none'}")
        return attached, attached.triggers[name]

    def start_history(self, app: AttachedApp, trigger: AttachedTrigger) -> None:
        """Take up the trigger's history or replay where it is."""
        if trigger.history.state in ("RESETTING", "RUNNING"):
            trigger.history_task = self._spawn(app, f"history {trigger.plan.key}", lambda: self._history(trigger))

    async def stop_history(self, app: AttachedApp, trigger: AttachedTrigger) -> None:
        if trigger.history_task is not None:
            await _cancelled([trigger.history_task])
            app.tasks.remove(trigger.history_task)
            trigger.history_task = None

    # --- loops -----------------------------------------------------------------------------------------------------------------------

    async def _live(self, trigger: AttachedTrigger) -> None:
        consumer = await self._live_consumer(trigger)
        await self._ask_again("GRAPH", consumer.name, trigger.plan.subject)
        await TriggerLoop(self.parts, trigger.plan, Side(consumer, trigger.live_slots)).run()

    async def _history(self, trigger: AttachedTrigger) -> None:
        """Work the history off, from its reset to the record of its end."""
        plan, history, name = trigger.plan, trigger.history, trigger.consumer_name("history")
        if history.state == "RESETTING":
            # Nothing of an earlier replay is left that way: no place, no delivery under way, no late acknowledgement.
            await self._delete(name)
        subject = f"{plan.subject[:-1]}{history.only}" if history.only else plan.subject
        consumer = await self._consumer(trigger, "history", subject, history.since)
        if history.state == "RESETTING":
            history = await self._record(trigger, "RUNNING")
        await self._ask_again("GRAPH", name, subject)
        side = Side(consumer, trigger.history_slots, history.generation, history.until, history.only)
        await TriggerLoop(self.parts, plan, side).run()
        await consumer.pause()
        await self._record(trigger, "DONE")
        log.info("the history of %s is done, up to %s", plan.key, history.until)

    async def _work(self, app: str) -> None:
        consumer = await self.store.work.consumer(
            app, ack_wait=self.settings.ack_wait, max_ack_pending=self.settings.held
        )
        await self._ask_again("WORK", consumer.name, f"work.{app}.>")
        await WorkLoop(self.store.runs, self.parts.calls, self.parts.executor, consumer, self._same).run()

    def _spawn(self, app: AttachedApp, name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._keep(name, loop), name=name)
        app.tasks.append(task)
        return task

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the loop until it ends by itself; after an error again, later and later."""
        pause = FIRST_PAUSE
        while True:
            await self._running.wait()
            began = asyncio.get_running_loop().time()
            try:
                return await loop()
            except PCloudError as error:
                log.warning("%s goes on in a moment: %s", name, error)
            except Exception:
                log.exception("%s goes on in a moment after an error of core's own", name)
            if asyncio.get_running_loop().time() - began > self.settings.pause_after_error:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.settings.pause_after_error)

    # --- within ----------------------------------------------------------------------------------------------------------------------

    async def _histories(self, plans: Sequence[TriggerPlan]) -> dict[str, History]:
        """Each trigger's history; those that are new, or back after a removal, begin here."""
        known = await load_histories(self.graph, [plan.key for plan in plans])
        fresh = [plan for plan in plans if plan.key not in known or known[plan.key].state == "REMOVED"]
        if fresh:
            now = await self.store.last_sequence()
            for plan in fresh:
                before = known.get(plan.key)
                wanted = plan.history and now > 0
                known[plan.key] = History(
                    plan.app, plan.name, installed=now, generation=before.generation + 1 if before else 0,
                    state="RESETTING" if wanted else "DONE", since=1, until=now if wanted else 0,
                )  # fmt: skip
            await save_histories(self.commands, [known[plan.key] for plan in fresh])
        return known

    async def _record(self, trigger: AttachedTrigger, state: str) -> History:
        trigger.history = msgspec.structs.replace(trigger.history, state=state)
        await save_histories(self.commands, [trigger.history])
        return trigger.history

    async def _live_consumer(self, trigger: AttachedTrigger) -> Any:
        return await self._consumer(trigger, "live", trigger.plan.subject, trigger.history.installed + 1)

    async def _consumer(self, trigger: AttachedTrigger, side: str, subject: str, start: int) -> Any:
        return await self.store.consumer(
            trigger.consumer_name(side), subjects=[subject], start=start, ack_wait=self.settings.ack_wait,
            # More than is held here: what comes again must find room.
            max_ack_pending=2 * self.settings.held, description=f"{side} events for the trigger {trigger.plan.key}",
        )  # fmt: skip

    async def _give_up(self, app: str, triggers: Sequence[str]) -> None:
        known = await load_histories(self.graph, [f"{app}/{name}" for name in triggers])
        there = [history for history in known.values() if history.state != "REMOVED"]
        await save_histories(self.commands, [msgspec.structs.replace(one, state="REMOVED") for one in there])
        for history in known.values():  # also where an earlier try was killed after recording it
            for side in ("live", "history"):
                await self._delete(f"trigger_{app}_{history.name}_{side}")

    async def _delete(self, name: str) -> None:
        """Deleting what is gone is fine; raises `Unavailable`."""
        try:
            await asyncio.shield(self.store.js.delete_consumer("GRAPH", name))
        except NotFoundError:
            pass
        except NatsError as error:
            raise Unavailable(f"the consumer {name} can't be deleted: {error!r}") from error

    async def _ask_again(self, stream: str, consumer: str, subject: str) -> None:
        if self.settings.alone:
            await redeliver_pending(self.store, stream, consumer, subject)

    async def _look_at_fullness(self) -> None:
        try:
            # Shielded: before Python 3.12 the wait_for inside may swallow the cancellation that ends `run`.
            info = await asyncio.shield(self.store.js.stream_info("RUNS"))
        except Exception as error:
            log.warning("RUNS can't be looked at: %s", error)
            return
        used, limit = info.state.bytes, info.config.max_bytes or -1
        if limit > 0 and used > self.settings.crowded * limit:
            await self._make_room()
        full = limit > 0 and used > self.settings.fullness * limit
        self.journal.full = (
            f"no new runs are started: the record of runs uses {used} of {limit} bytes; retry or dismiss failed runs"
            if full
            else ""
        )

    async def _make_room(self) -> None:
        """Drop the oldest runs that are DONE: a first import of many pictures must not fill RUNS for the 90 days that
        they would stay, since then nothing new is started."""
        try:
            for run, sequence in await self.runs.oldest_done(DROPPED):
                with suppress(Conflict):  # it is made again just now
                    await self.store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL, expected=sequence)
        except PCloudError as error:
            log.warning("old runs can't be dropped: %s", error)

    async def _stop(self, app: AttachedApp) -> None:
        await _cancelled(app.tasks)
        app.tasks.clear()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
