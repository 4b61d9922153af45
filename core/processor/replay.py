"""Sends events of the past through a trigger again, at the owner's word; beside what is new, never before it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from core.processor.history import CORE, save_histories
from core.processor.node import matching_ids
from core.processor.plan import TriggerPlan
from pcloud.errors import Conflict, Rejected
from pcloud.event import StoredEvent
from pcloud.subject import check_id

if TYPE_CHECKING:
    from core.processor.processor import Processor

__all__ = ["Replays"]

PAGE = 500


class Replays:
    """Over a processor's attached triggers."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

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
        """Replay `app/trigger` from `start` ('start', a sequence, or an RFC 3339 time) to the log's end of now, for
        all entities or the one with `id`. Answers how many events match; with `dry_run` nothing else happens.

        A running replay is replaced when the new one covers what it has left, otherwise `Conflict`."""
        processor = self._processor
        app, attached = processor.trigger(trigger)
        plan = attached.plan
        if type and type != str(plan.type):
            raise Rejected(f"{trigger} is about {plan.type}, never about {type}")
        since = await self._sequence(start)
        until = await processor.store.last_sequence()
        only = check_id(id) if id else ""
        events = await self._count(plan, since, until, only)
        answer = {"trigger": trigger, "events": events, "since": since, "until": until, "dryRun": dry_run}
        if dry_run:
            return {**answer, "generation": attached.history.generation}
        async with processor._changing:
            history = attached.history
            if history.state in ("RESETTING", "RUNNING") and (only or since > history.since) and history.only != only:
                raise Conflict(
                    f"{trigger} has a replay under way, up to {history.until}: wait for its end, or replay all of it"
                )
            await processor.stop_history(app, attached)
            attached.history = msgspec.structs.replace(
                attached.history,
                generation=history.generation + 1,
                state="RESETTING",
                since=since,
                until=until,
                only=only,
            )
            try:
                await save_histories(processor.commands, [attached.history], actor)
            except BaseException:
                attached.history = history  # what was under way goes on
                raise
            finally:
                processor.start_history(app, attached)
        return {**answer, "generation": attached.history.generation}

    async def _sequence(self, start: str) -> int:
        """The first sequence that `start` means."""
        if start in ("", "start"):
            return 1
        if re.fullmatch(r"[0-9]{1,18}", start):
            return max(1, int(start))
        try:
            time = datetime.fromisoformat(start)
        except ValueError as error:
            raise Rejected(
                f"a replay can't start at {start!r}: say 'start', a sequence of the log, or a time such as 2026-11-01T00:00:00Z"
            ) from error
        if time.tzinfo is None:
            raise Rejected(f"the time {start!r} has no zone: add Z for UTC, or an offset such as +02:00")
        return await self._processor.store.sequence_at(time.timestamp())

    async def _count(self, plan: TriggerPlan, since: int, until: int, only: str) -> int:
        """How many events match, with `where` as it holds now."""
        parts = self._processor.parts
        count = 0
        async for page in self._pages(plan, since, until, only):
            if not plan.where:
                count += len(page)
                continue
            view = parts.views.app(plan.app)
            passing = await matching_ids(parts.graph, view, plan, list({event.ref.id for event in page}))
            count += sum(event.ref.id in passing for event in page)
        return count

    async def _pages(self, plan: TriggerPlan, since: int, until: int, only: str) -> AsyncIterator[list[StoredEvent]]:
        subject = f"{plan.subject[:-1]}{only}" if only else plan.subject
        page: list[StoredEvent] = []
        async for event in self._processor.store.read(since, until, subjects=[subject]):
            if plan.matches(event):
                page.append(event)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page
