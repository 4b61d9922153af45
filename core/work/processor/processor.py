"""The event processor: the apps attached to it, and the owner's commands.

The loops of an app are in `loops`, a run and its end in `done_or_failed`; the owner's larger commands have files of their own
(`replay`, `retry`, `chain`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from core.trace import Tracer
from core.work.call import Calls, CommandWriter
from core.work.processor.abandoned import AbandonedRuns
from core.work.processor.attached import AttachedApp, AttachedTrigger, InstalledApp
from core.work.processor.audited import audited_call
from core.work.processor.backlog import Backlog
from core.work.processor.chain import Chains
from core.work.processor.compiled_trigger import CompiledTrigger, compile_triggers
from core.work.processor.consumers import SIDES, TriggerConsumers
from core.work.processor.done_or_failed import RunExecutor
from core.work.processor.forget import forget_runs, purge_work, refuse_work
from core.work.processor.fullness import Fullness
from core.work.processor.initial import InitialRuns
from core.work.processor.journal import Journal
from core.work.processor.loops import Loops
from core.work.processor.progress import shown_trigger, shown_triggers
from core.work.processor.read_graph import ReadGraph
from core.work.processor.replay import Replays
from core.work.processor.restart import cancelled
from core.work.processor.retry import FailedRuns
from core.work.processor.settings import ProcessorSettings
from core.work.processor.sight import Sight
from core.work.processor.trigger_loop import Runaway, TriggerParts
from core.work.processor.trigger_past import CORE, first_histories, load_histories, save_histories, trigger_names
from eventstore import EventStore
from pcloud.errors import NotFound
from pcloud.subject import split_name
from projections.directory import TriggerPast
from projections.runs.projection import RunsProjection
from projections.runs.record import Run

__all__ = ["Processor"]


class Processor:
    """`attach` may be called at any time; work is done while `run()` runs."""

    def __init__(
        self,
        store: EventStore,
        graph: ReadGraph,
        calls: Calls,
        commands: CommandWriter,
        runs: RunsProjection,
        settings: ProcessorSettings | None = None,
    ) -> None:
        self.settings = settings or ProcessorSettings()
        directory = calls.directory
        self.store, self.directory, self.commands, self.runs = store, directory, commands, runs
        self.journal = Journal(store.runs, delay=self.settings.record_delay, done_ttl=self.settings.done_ttl)
        executor = RunExecutor(self.journal, self.settings, away=graph.away)
        self.parts = TriggerParts(store, graph, calls, executor, Sight(graph.views))
        self.apps: dict[str, AttachedApp] = {}
        self._running = asyncio.Event()
        self._changing = asyncio.Lock()
        self._consumers = TriggerConsumers(store, self.settings)
        self.fullness = Fullness(store, runs, self.journal, self.settings)
        self._loops = Loops(self.parts, self._consumers, commands, self._running)
        self._abandoned = AbandonedRuns(store, runs, directory, self.journal, self.settings)
        self._replays = Replays(
            self.parts, self._consumers, self._loops, commands, self.trigger, self._changing, self._abandoned
        )
        self._failed = FailedRuns(store, runs, self.trigger, self.parts.sight, directory)
        self._chains = Chains(store, directory, runs, partial(audited_call, store))
        self._initial = InitialRuns(store.runs, calls, self.parts.executor)
        self.backlog = Backlog(store, calls)

    @property
    def problem(self) -> str:
        """Why no new runs are started; '' if they are."""
        return self.journal.problem

    def on_runaway(self, callback: Runaway) -> None:
        """Have `callback(app, reason)` called for an app whose runs cause each other beyond the limit."""
        self.parts.runaway = callback

    def trace_with(self, tracer: Tracer) -> None:
        """Trace each run as a span, below the span that its event came from."""
        self.parts.tracer = tracer

    async def run(self) -> None:
        """Work until cancelled; work in progress is continued at the next start."""
        self._running.set()
        watching = asyncio.create_task(self._abandoned.watch(), name="abandoned runs")
        try:
            await self.fullness.watch()
        finally:
            await cancelled([watching])
            self._running.clear()
            self.parts.sight.close()
            self.parts.executor.stopping.set()
            await asyncio.gather(*(self._loops.stop(app) for app in self.apps.values()))
            await self.journal.close()

    # --- apps attach and detach --------------------------------------------------------------------------------------------------

    async def attach(self, app: InstalledApp) -> None:
        """Make the consumers of the app's triggers, or find them, and start to work. The first time, what is in the
        log by now is history, and what comes later is live. Raises `Rejected` for a trigger that can't work;
        attaching again changes nothing."""
        async with self._changing:
            if app.name in self.apps:
                return
            triggers = compile_triggers(app.manifest)
            histories = await self._histories(triggers)
            attached = AttachedApp(
                app.name, [AttachedTrigger(compiled, histories[compiled.key]) for compiled in triggers]
            )
            for trigger in attached.triggers.values():
                await self._consumers.live(trigger.compiled, trigger.history)
            self.apps[app.name] = attached
            self._loops.start(attached)

    async def suspend(self, app: str) -> None:
        """Stop working for an app that is paused or about to be upgraded. Its positions in the log stay: `attach` continues
        there."""
        async with self._changing:
            if (attached := self.apps.pop(app, None)) is not None:
                await self._loops.stop(attached)

    async def detach(self, app: str, *, forget: bool = False) -> None:
        """Detach a removed app: stop, delete its consumers, and end the durable calls that wait for it as
        FAILED. Its runs and what they wrote stay, unless `forget`: then the records of its runs are deleted too."""
        async with self._changing:
            attached = self.apps.pop(app, None)
            triggers = trigger_names(self.directory, app)
            if attached is not None:
                await self._loops.stop(attached)
            await self._give_up(app, triggers)
            await refuse_work(self.store, app, self.parts.executor)
            await purge_work(self.store, app)
            if forget:
                await forget_runs(self.store, self.runs, app, [f"{app}/{name}" for name in triggers])
            self._abandoned.look()

    async def retire(self, app: str, triggers: Sequence[str]) -> None:
        """Delete the consumers of triggers that another version of the app had, but not of attached ones. Repeating it
        changes nothing."""
        async with self._changing:
            await self._give_up(app, triggers)
            self._abandoned.look()

    async def run_init(
        self, app: str, number: int, call: str, args: Mapping[str, Any], *, installation: str, seconds: float
    ) -> Run:
        """Make an init action in a run of the kind `init`; see `InitialRuns.run`."""
        return await self._initial.run(app, number, call, args, installation=installation, seconds=seconds)

    # --- the owner's commands ------------------------------------------------------------------------------------------------------

    def trigger(self, key: str) -> tuple[AttachedApp, AttachedTrigger]:
        """Return the attached trigger `app/trigger`. Raises `NotFound`."""
        app, name = split_name(key)
        attached = self.apps.get(app)
        if attached is None or name not in attached.triggers:
            known = ", ".join(
                sorted(trigger.compiled.key for one in self.apps.values() for trigger in one.triggers.values())
            )
            has = f"there are: {known}" if known else "no installed app has one"
            raise NotFound(f"there is no trigger {key!r} (APP/TRIGGER): {has}")
        return attached, attached.triggers[name]

    async def triggers(self, app: str | None = None) -> list[dict[str, Any]]:
        """Return the triggers of running apps, with the progress of their replays; see `shown_trigger`."""
        apps = [one for one in self.apps.values() if app in (None, one.name)]
        return await shown_triggers(apps, self._consumers, self.runs, self.parts.sight)

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

    async def pause_replay(self, trigger: str, actor: str = CORE) -> dict[str, Any]:
        """Pause what is in progress; answer as `triggers`. Raises `Conflict` if nothing is."""
        await self._replays.pause(trigger, actor)
        return await self._shown(trigger)

    async def resume_replay(self, trigger: str, actor: str = CORE) -> dict[str, Any]:
        """Resume what was paused; answer as `triggers`. Raises `Conflict` if nothing was."""
        await self._replays.resume(trigger, actor)
        return await self._shown(trigger)

    async def cancel_replay(self, trigger: str, actor: str = CORE) -> dict[str, Any]:
        """Cancel what is in progress; answer as `triggers`. Raises `Conflict` if nothing is."""
        await self._replays.cancel(trigger, actor)
        return await self._shown(trigger)

    async def described(self, id: str) -> dict[str, Any]:
        """Return the run with its `chain`, see `Chains.chain`. Raises `NotFound`."""
        run = await self._failed.run(id)
        shown = {name: msgspec.to_builtins(getattr(run, name)) for name in Run.__struct_fields__}
        return {**shown, "chain": await self._chains.chain(run)}

    async def retry(self, run_id: str) -> Run:
        """Have a FAILED run made again; see `FailedRuns.retry`."""
        return await self._failed.retry(run_id)

    async def dismiss(self, run_id: str) -> Run:
        """Take a FAILED run off the list."""
        return await self._failed.dismiss(run_id)

    async def retry_all(self, app: str | None = None, trigger: str | None = None) -> int:
        """Retry all FAILED runs, or those of the named app or trigger; return their number."""
        return await self._failed.each(self._failed.retry, app, trigger)

    async def dismiss_all(self, app: str | None = None, trigger: str | None = None) -> int:
        """Dismiss all FAILED runs, or those of the named app or trigger; return their number."""
        return await self._failed.each(self._failed.dismiss, app, trigger)

    # --- within ----------------------------------------------------------------------------------------------------------------------

    async def _shown(self, key: str) -> dict[str, Any]:
        return await shown_trigger(self.trigger(key)[1], self._consumers, self.runs, self.parts.sight)

    async def _histories(self, triggers: Sequence[CompiledTrigger]) -> dict[str, TriggerPast]:
        """Return each trigger's past; it begins now for triggers that are new, or back after a removal."""
        known = load_histories(self.directory, [compiled.key for compiled in triggers])
        now = await self.store.last_sequence()
        fresh = first_histories(triggers, known, now)
        await save_histories(self.commands, fresh)
        return known | {history.key: history for history in fresh}

    async def _give_up(self, app: str, triggers: Sequence[str]) -> None:
        known = load_histories(self.directory, [f"{app}/{name}" for name in triggers])
        there = [history for history in known.values() if history.state != "REMOVED"]
        await save_histories(self.commands, [msgspec.structs.replace(one, state="REMOVED") for one in there])
        for history in known.values():  # also if an earlier attempt was killed after recording it
            for side in SIDES:
                await self._consumers.delete(app, history.name, side)
