"""How far a trigger's past is: the node `core/Trigger` that says where history ends, and what the newest replay takes.

Written through the log like everything else that the owner may ask about later, so every node of the cloud knows
where to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from core.call import Writer
from core.caller import Caller
from core.command import NodeChange
from core.processor.plan import TriggerPlan
from pcloud.subject import Ref
from projections.graph.port import GraphStore

__all__ = ["CORE", "UNDER_WAY", "History", "first_histories", "load_histories", "save_histories"]

CORE = Caller("app", "core").actor
UNDER_WAY = frozenset({"RESETTING", "RUNNING", "PAUSED"})


class History(msgspec.Struct, frozen=True):
    """`installed`: sequence at the installation, later events are live. `since` to `until`: what the newest replay
    takes, `only` for one entity; `matched`: so many events matched when it was asked for (of the first history: all
    of its type; -1: not counted yet). RESETTING: recorded, and the consumer not yet put to `since`. PAUSED: the owner halted it.
    REMOVED: the app is gone, its data is not."""

    app: str
    name: str
    installed: int
    generation: int = 0
    state: str = "RESETTING"
    since: int = 1
    until: int = 0
    only: str = ""
    matched: int = -1

    @property
    def key(self) -> str:
        return f"{self.app}/{self.name}"

    @property
    def ref(self) -> Ref:
        return trigger_ref(self.key)


def trigger_ref(key: str) -> Ref:
    return Ref.make("core", "Trigger", hashlib.sha256(key.encode()).hexdigest()[:32])


def first_histories(plans: Sequence[TriggerPlan], known: dict[str, History], now: int) -> list[History]:
    """Those of the triggers that are new, or back after a removal: what is in the log up to `now` is their past."""
    fresh: list[History] = []
    for plan in plans:
        before = known.get(plan.key)
        if before is not None and before.state != "REMOVED":
            continue
        wanted = plan.history and now > 0
        fresh.append(
            History(
                plan.app, plan.name, installed=now, generation=before.generation + 1 if before else 0,
                state="RESETTING" if wanted else "DONE", since=1, until=now if wanted else 0,
            )
        )  # fmt: skip
    return fresh


async def load_histories(graph: GraphStore, keys: Iterable[str]) -> dict[str, History]:
    """Those that were recorded, by `app/trigger`."""
    nodes = await graph.nodes([trigger_ref(key) for key in keys])
    found = [_from_fields(node.fields) for node in nodes.values() if node.exists]
    return {history.key: history for history in found}


async def save_histories(commands: Writer, histories: Iterable[History], actor: str = CORE) -> None:
    """In one transaction; returns once the graph view has it."""
    changes = [
        NodeChange(history.ref, "upsert", set={name: value for name, value in _fields(history).items() if value != ""},
                   unset=() if history.only else ("only",))
        for history in histories
    ]  # fmt: skip
    if changes:
        await commands.write(actor, changes)


def _fields(history: History) -> dict[str, Any]:
    fields = msgspec.structs.asdict(history)
    return fields if history.matched >= 0 else {name: value for name, value in fields.items() if name != "matched"}


def _from_fields(fields: Any) -> History:
    return History(**{name: fields[name] for name in History.__struct_fields__ if fields.get(name) is not None})
