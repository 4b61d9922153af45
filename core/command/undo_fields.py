"""The mutation `undo`, of the owner and the owner's devices alone."""

from __future__ import annotations

from typing import Any

from core.api import FieldInfo, RootField
from core.caller import Caller
from core.command.undo import Undoing

__all__ = ["undo_fields"]

# Appends the inverse of a transaction (`tx` of `nodeHistory`). Answers {tx, revision, entities, leftOut, repeated}: how many entities it
# was about, links that nobody is there to take any more, and whether it had been undone before.
UNDO = "undo(tx: String!): JSON!"


def undo_fields(undoing: Undoing) -> list[RootField]:
    """For `Api.add_fields`."""

    async def undo(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        done = await undoing.undo(caller.actor, arguments["tx"])
        return {
            "tx": arguments["tx"], "revision": str(done.revision), "entities": done.result.get("entities", 0),
            "leftOut": done.result.get("leftOut", []), "repeated": done.repeated,
        }  # fmt: skip

    return [RootField("mutation", UNDO, undo)]
