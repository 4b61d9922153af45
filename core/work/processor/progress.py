"""Each trigger, and the progress of its history or replay, as shown to the owner."""

from __future__ import annotations

from typing import Any

from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.consumers import TriggerConsumers
from core.work.processor.sight import Sight
from core.work.processor.trigger_past import UNDER_WAY
from projections.directory import TriggerPast
from projections.runs.projection import RunsProjection

__all__ = ["shown_triggers"]


async def shown_triggers(
    apps: list[AttachedApp], consumers: TriggerConsumers, runs: RunsProjection, sight: Sight
) -> list[dict[str, Any]]:
    """By app and trigger; see `shown_trigger`."""
    return [
        await shown_trigger(trigger, consumers, runs, sight)
        for app in sorted(apps, key=lambda app: app.name)
        for trigger in sorted(app.triggers.values(), key=lambda trigger: trigger.compiled.name)
    ]


async def shown_trigger(
    trigger: AttachedTrigger, consumers: TriggerConsumers, runs: RunsProjection, sight: Sight
) -> dict[str, Any]:
    """`problem`: why it waits, '' if it does not.

    `state`: RESETTING, RUNNING, PAUSED, DONE or CANCELLED, of the newest replay (generation 0: the first history).
    `position`: sequence up to which all is settled. `events`: how many events of its type it covers, `remaining`: how many of
    them are left; `matched`: how many match. `done`, `failed`: runs of this replay that ended so."""
    compiled, history = trigger.compiled, trigger.history
    position, events, remaining = await _place(compiled, history, consumers)
    ended = await runs.ended(compiled.key, history.generation, history.since, history.until)
    return {
        **_definition(compiled), "problem": sight.lacking(compiled),
        "state": history.state, "paused": history.state == "PAUSED", "generation": history.generation,
        "installed": history.installed, "since": history.since, "until": history.until, "only": history.only or None,
        "position": position, "events": events, "remaining": remaining, "matched": max(0, history.matched),
        "done": ended.get("DONE", 0), "failed": ended.get("FAILED", 0),
    }  # fmt: skip


def _definition(compiled: CompiledTrigger) -> dict[str, Any]:
    return {
        "trigger": compiled.key, "app": compiled.app, "name": compiled.name, "type": str(compiled.type), "event": sorted(compiled.kinds),
        "action": compiled.target, "where": dict(compiled.where), "fields": sorted(compiled.fields), "concurrency": compiled.concurrency,
        "order": "entity" if compiled.ordered else "none", "attempts": compiled.attempts,
    }  # fmt: skip


async def _place(compiled: CompiledTrigger, history: TriggerPast, consumers: TriggerConsumers) -> tuple[int, int, int]:
    """Return position, events in all, and events left. All events of the type are counted, even those that do not match."""
    if history.until == 0 or history.state == "CANCELLED":
        return history.until, 0, 0
    about = compiled.subject(history.only)
    later = await consumers.count(about, history.until + 1)
    events = max(0, await consumers.count(about, history.since) - later)
    if history.state == "RESETTING" or history.state not in UNDER_WAY:
        done = history.state == "DONE"
        return history.until if done else history.since - 1, events, 0 if done else events
    place = await (await consumers.history(compiled, history)).position()
    remaining = min(events, max(0, place.pending + place.ack_pending - later))
    return min(history.until, max(history.since - 1, place.ack_floor)), events, remaining
