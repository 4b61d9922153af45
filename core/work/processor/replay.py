"""Sends events of the past through a trigger again, at the owner's command, in parallel to new events and never before them. A
replay can be paused, resumed and cancelled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from core.work.call import CommandWriter
from core.work.processor.abandoned import AbandonedRuns
from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.consumers import TriggerConsumers
from core.work.processor.entity import matching_ids
from core.work.processor.loops import Loops
from core.work.processor.progress import place_of
from core.work.processor.trigger_loop import TriggerParts
from core.work.processor.trigger_past import UNDER_WAY, save_histories
from pcloud.errors import Conflict, Rejected
from pcloud.event import StoredEvent
from pcloud.subject import check_id
from projections.directory import TriggerPast
from projections.runs.record import Run

__all__ = ["Find", "Replays"]

PAGE = 500
Find = Callable[[str], tuple[AttachedApp, AttachedTrigger]]


class Replays:
    """`find`: returns the attached trigger `app/trigger`, or raises `NotFound`. `changing`: held while attachments change."""

    def __init__(
        self,
        parts: TriggerParts,
        consumers: TriggerConsumers,
        loops: Loops,
        commands: CommandWriter,
        find: Find,
        changing: asyncio.Lock,
        abandoned: AbandonedRuns,
    ) -> None:
        self._parts, self._consumers, self._loops, self._commands = parts, consumers, loops, commands
        self._find, self._changing, self._abandoned = find, changing, abandoned

    async def replay(
        self, trigger: str, start: str, *, type: str, id: str, dry_run: bool, actor: str
    ) -> dict[str, Any]:
        """Replay `app/trigger` from `start` ('start', a sequence, or an RFC 3339 time) to the current end of the log, for
        all entities or the one with `id`. Return how many events match; with `dry_run` nothing else happens.

        A replay in progress is replaced if the new one covers what it has left, otherwise `Conflict`."""
        _, attached = self._find(trigger)
        compiled = attached.compiled
        if type and type != str(compiled.type):
            raise Rejected(f"{trigger} is about {compiled.type}, never about {type}")
        self._parts.sight.demand(compiled)
        since = await self._sequence(start)
        until = await self._parts.store.last_sequence()
        only = check_id(id) if id else ""
        events = await self._count(compiled, since, until, only)
        answer = {"trigger": trigger, "events": events, "since": since, "until": until, "dryRun": dry_run}
        if dry_run:
            return {**answer, "generation": attached.history.generation}
        async with self._changing:
            app, attached = self._find(trigger)
            wanted = following(attached.history, since, until, only, events)
            await self._switch(app, attached, wanted, actor)
        return {**answer, "generation": wanted.generation}

    async def pause(self, trigger: str, actor: str) -> None:
        """Pause the replay, or first history, that is in progress; it stays paused over restarts. Repeating it changes nothing."""
        async with self._changing:
            app, attached = self._under_way(trigger)
            await self._loops.stop_history(app, attached)
            try:
                if attached.history.state == "RESETTING":
                    await self._loops.reset(attached)
            except BaseException:
                self._loops.start_history(app, attached)
                raise
            await self._switch(app, attached, msgspec.structs.replace(attached.history, state="PAUSED"), actor)

    async def resume(self, trigger: str, actor: str) -> None:
        """Continue what was paused. Repeating it changes nothing."""
        async with self._changing:
            app, attached = self._under_way(trigger)
            if attached.history.state == "PAUSED":
                await self._switch(app, attached, msgspec.structs.replace(attached.history, state="RUNNING"), actor)

    async def cancel(self, trigger: str, actor: str) -> None:
        """Cancel what is in progress; what it has done stays done, and how far it came stays known. Raises `Conflict` if
        nothing is."""
        async with self._changing:
            app, attached = self._under_way(trigger)
            history = attached.history
            await self._loops.stop_history(app, attached)
            try:
                passed = (await place_of(attached.compiled, history, self._consumers)).passed
                # Before the record: after a crash in between, the replay is still there to be cancelled.
                await self._abandoned.end(partial(why_cancelled, history))
            except BaseException:
                self._loops.start_history(app, attached)
                raise
            wanted = msgspec.structs.replace(history, state="CANCELLED", passed=passed)
            await self._switch(app, attached, wanted, actor)
            await self._consumers.delete(app.name, attached.compiled.name, "history")

    def _under_way(self, trigger: str) -> tuple[AttachedApp, AttachedTrigger]:
        app, attached = self._find(trigger)
        if attached.history.state not in UNDER_WAY:
            raise Conflict(f"{trigger} has no replay under way: its last one is {attached.history.state}")
        return app, attached

    async def _switch(self, app: AttachedApp, attached: AttachedTrigger, wanted: TriggerPast, actor: str) -> None:
        """Stop, record, start. If the record can't be written, nothing changes, and the work in progress continues."""
        await self._loops.stop_history(app, attached)
        try:
            await save_histories(self._commands, [wanted], actor)
            attached.history = wanted
        finally:
            self._loops.start_history(app, attached)

    async def _sequence(self, start: str) -> int:
        """Return the first sequence that `start` means."""
        if start in ("", "start"):
            return 1
        if re.fullmatch(r"[0-9]{1,18}", start):
            return max(1, int(start))
        try:
            time = datetime.fromisoformat(start)
        except ValueError as error:
            raise Rejected(
                f"a replay can't start at {start!r}: use 'start', a sequence of the log, or a time such as 2026-11-01T00:00:00Z"
            ) from error
        if time.tzinfo is None:
            raise Rejected(f"the time {start!r} has no zone: add Z for UTC, or an offset such as +02:00")
        return await self._parts.store.sequence_at(time.timestamp())

    async def _count(self, compiled: CompiledTrigger, since: int, until: int, only: str) -> int:
        """Count the events that match, with the current `where`."""
        count = 0
        async for page in self._pages(compiled, since, until, only):
            if not compiled.where:
                count += len(page)
                continue
            await self._parts.graph.loop.wait_for(self._parts.graph.views.declared)
            view = self._parts.graph.views.app(compiled.app)
            passing = await matching_ids(
                self._parts.graph.reader, view, compiled, list({event.ref.id for event in page})
            )
            count += sum(event.ref.id in passing for event in page)
        return count

    async def _pages(
        self, compiled: CompiledTrigger, since: int, until: int, only: str
    ) -> AsyncIterator[list[StoredEvent]]:
        subject = compiled.subject(only)
        page: list[StoredEvent] = []
        async for event in self._parts.store.read(since, until, subjects=[subject]):
            if compiled.matches(event, self._parts.sight.demand(compiled)):
                page.append(event)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page


def following(history: TriggerPast, since: int, until: int, only: str, matched: int) -> TriggerPast:
    """Return the replay that follows `history`. Raises `Conflict` if that is in progress and would not be covered."""
    covered = since <= history.since and only in ("", history.only)
    if history.state in UNDER_WAY and not covered:
        raise Conflict(
            f"{history.key} has a replay under way, from {history.since} to {history.until}: wait for its end, cancel it, "
            "or ask for one that covers it"
        )
    return msgspec.structs.replace(
        history,
        generation=history.generation + 1,
        state="RESETTING",
        since=since,
        until=until,
        only=only,
        matched=matched,
        passed=-1,
    )


def why_cancelled(history: TriggerPast, run: Run) -> str:
    """Return why the run is not continued, if it is one of this replay; else ''."""
    covered = history.since <= run.sequence <= history.until
    if run.trigger == history.key and run.generation == history.generation and covered:
        return "the replay was cancelled before this run ended"
    return ""
