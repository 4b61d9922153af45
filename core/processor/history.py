"""How far a trigger's past is: the node `core/Trigger` that says where history ends, and what the newest replay takes.

Written through the log like everything else that the owner may ask about later, so every node of the cloud knows
where to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from core.call import Writer
from core.caller import Caller
from core.command import NodeChange
from pcloud.subject import Ref
from projections.graph.port import GraphStore

__all__ = ["CORE", "History", "load_histories", "save_histories"]

CORE = Caller("app", "core").actor


class History(msgspec.Struct, frozen=True):
    """`installed`: sequence at the installation, later events are live. `since` to `until`: what the newest replay
    takes, `only` for one entity. RESETTING: recorded, and the consumer not yet put to `since`. REMOVED: the app is
    gone, its data is not."""

    app: str
    name: str
    installed: int
    generation: int = 0
    state: str = "RESETTING"
    since: int = 1
    until: int = 0
    only: str = ""

    @property
    def key(self) -> str:
        return f"{self.app}/{self.name}"

    @property
    def ref(self) -> Ref:
        return trigger_ref(self.key)


def trigger_ref(key: str) -> Ref:
    return Ref.make("core", "Trigger", hashlib.sha256(key.encode()).hexdigest()[:32])


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
    return msgspec.structs.asdict(history)


def _from_fields(fields: Any) -> History:
    return History(**{name: fields[name] for name in History.__struct_fields__ if fields.get(name) is not None})
