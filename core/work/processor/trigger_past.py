"""The state of a trigger's past: the entity `core/Trigger` says where history ends, and what the newest replay covers.

Written through the log like everything else that the owner may ask about later, so that every node of the cloud knows
where to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from core.access.caller import Caller
from core.graph.command import EntityChange
from core.work.call import CommandWriter
from core.work.processor.compiled_trigger import CompiledTrigger
from pcloud.subject import Ref
from projections.directory import Directory, TriggerPast

__all__ = ["CORE", "UNDER_WAY", "first_histories", "load_histories", "save_histories", "trigger_names"]

CORE = Caller("app", "core").actor
UNDER_WAY = frozenset({"RESETTING", "RUNNING", "PAUSED"})


def trigger_ref(key: str) -> Ref:
    return Ref.make("core", "Trigger", hashlib.sha256(key.encode()).hexdigest()[:32])


def first_histories(triggers: Sequence[CompiledTrigger], known: dict[str, TriggerPast], now: int) -> list[TriggerPast]:
    """Return the pasts of triggers that are new, or back after a removal: the log up to `now` is their past."""
    fresh: list[TriggerPast] = []
    for compiled in triggers:
        before = known.get(compiled.key)
        if before is not None and before.state != "REMOVED":
            continue
        wanted = compiled.history and now > 0
        fresh.append(
            TriggerPast(
                compiled.app, compiled.name, installed=now, generation=before.generation + 1 if before else 0,
                state="RESETTING" if wanted else "DONE", since=1, until=now if wanted else 0,
            )
        )  # fmt: skip
    return fresh


def load_histories(directory: Directory, keys: Iterable[str]) -> dict[str, TriggerPast]:
    """Return the recorded pasts, by `app/trigger`."""
    found = (directory.records.pasts.get(trigger_ref(key).id) for key in keys)
    return {past.key: past for past in found if past is not None}


def trigger_names(directory: Directory, app: str) -> list[str]:
    """Return the names of all triggers that the app has ever had."""
    return [past.name for past in directory.records.pasts.values() if past.app == app]


async def save_histories(commands: CommandWriter, histories: Iterable[TriggerPast], actor: str = CORE) -> None:
    """Save in one transaction; return once the graph has it."""
    changes = [
        EntityChange(trigger_ref(history.key), "upsert", set={name: value for name, value in _fields(history).items() if value != ""},
                   unset=() if history.only else ("only",))
        for history in histories
    ]  # fmt: skip
    if changes:
        await commands.write(actor, changes)


def _fields(history: TriggerPast) -> dict[str, Any]:
    fields = msgspec.structs.asdict(history)
    unknown = {name for name in ("matched", "passed") if fields[name] < 0}
    return {name: None if name in unknown else value for name, value in fields.items()}
