"""Each trigger, and the progress of its history or replay, as shown to the owner."""

from __future__ import annotations

from typing import Any, NamedTuple

from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.consumers import TriggerConsumers
from core.work.processor.sight import Sight
from core.work.processor.trigger_past import UNDER_WAY
from projections.directory import TriggerPast
from projections.runs.projection import RunsProjection

__all__ = ["Place", "place_of", "shown_trigger", "shown_triggers"]


class Place(NamedTuple):
    """`position`: sequence up to which all is settled. `passed`: how many of all `events` of the replay are behind it."""

    position: int
    events: int
    passed: int


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
    `position`: sequence up to which all is settled. `events`: how many matched when it was requested, the same number to the
    end (for the first history: all of its type); `remaining`: how many of them are left. `done`, `failed`: runs of this replay
    that ended so."""
    compiled, history = trigger.compiled, trigger.history
    place = await place_of(compiled, history, consumers)
    ended = await runs.ended(compiled.key, history.generation, history.since, history.until)
    return {
        **_definition(compiled), "problem": sight.lacking(compiled),
        "state": history.state, "paused": history.state == "PAUSED", "generation": history.generation,
        "installed": history.installed, "since": history.since, "until": history.until, "only": history.only or None,
        "position": place.position, "events": place.events, "remaining": place.events - place.passed,
        "done": ended.get("DONE", 0), "failed": ended.get("FAILED", 0),
    }  # fmt: skip


def _definition(compiled: CompiledTrigger) -> dict[str, Any]:
    return {
        "trigger": compiled.key, "app": compiled.app, "name": compiled.name, "type": str(compiled.type), "event": sorted(compiled.kinds),
        "action": compiled.target, "where": dict(compiled.where), "fields": sorted(compiled.fields), "concurrency": compiled.concurrency,
        "order": "entity" if compiled.ordered else "none", "attempts": compiled.attempts,
    }  # fmt: skip


async def place_of(compiled: CompiledTrigger, history: TriggerPast, consumers: TriggerConsumers) -> Place:
    """Return how far the newest replay is, as a part of the events that matched when it was requested.

    The log tells how many events of the type are left, matching or not. Their part of all is the part of the matching ones."""
    whole = max(0, history.matched)
    if history.until == 0:
        return Place(history.until, 0, 0)
    if history.state == "CANCELLED":
        return Place(history.until, whole, max(0, history.passed))
    if history.state not in UNDER_WAY:
        return Place(history.until, whole, whole)
    about = compiled.subject(history.only)
    later = await consumers.count(about, history.until + 1)
    there = max(0, await consumers.count(about, history.since) - later)
    whole = whole if history.matched >= 0 else there
    if history.state == "RESETTING":
        return Place(history.since - 1, whole, 0)
    place = await (await consumers.history(compiled, history)).position()
    left = min(there, max(0, place.pending + place.ack_pending - later))
    passed = whole * (there - left) // there if there else whole
    return Place(min(history.until, max(history.since - 1, place.ack_floor)), whole, passed)
