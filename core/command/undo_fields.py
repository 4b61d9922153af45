"""The mutation `undo`: of people and their devices, and through an app's page for what was done through that app."""

from __future__ import annotations

from typing import Any

from core.api import FieldInfo, RootField
from core.caller import Caller
from core.command.undo import Undoing
from core.command.undo_view import OneView

__all__ = ["undo_fields"]

# Appends the inverse of a transaction (`tx` of `nodeHistory`). Answers {tx, revision, entities, leftOut, repeated}: how many entities it
# was about, links that nobody is there to take any more (not through an app), and whether it had been undone before. Through an app only
# of what was done through it, as long as it may write all of it.
UNDO = "undo(tx: String!): JSON!"


def undo_fields(undoing: Undoing) -> list[RootField]:
    """For `Api.add_fields`."""

    async def undo(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        done = await undoing.undo(caller.actor, arguments["tx"], OneView(info.view) if caller.through else None)
        return {
            "tx": arguments["tx"], "revision": str(done.revision), "entities": done.result.get("entities", 0),
            # It names what others have made, of which the app may know nothing.
            "leftOut": [] if caller.through else done.result.get("leftOut", []), "repeated": done.repeated,
        }  # fmt: skip

    return [RootField("mutation", UNDO, undo, visible=lambda caller: caller.kind != "app")]
