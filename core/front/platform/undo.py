"""The mutation `undo`, for people and their devices, and through an app's page for transactions made through that app."""

from __future__ import annotations

from typing import Any

from ariadne import MutationType

from core.graph.api import PlatformFields
from core.graph.command.undo import Undoing
from core.graph.command.undo_view import OneView

__all__ = ["undo_fields"]

SDL = """
type Mutation {
  # Appends the inverse of a transaction (`tx` of `nodeHistory`). Answers {tx, revision, entities, leftOut, repeated}: the number of
  # entities that it changed, links left out because the entity at their other end no longer exists (not through an app), and whether it
  # had been undone before. Through an app only for transactions made through it, as long as it may write all of it.
  undo(tx: String!): JSON!
}
"""


def undo_fields(undoing: Undoing) -> list[PlatformFields]:
    """For `Api.add_fields`."""
    mutation = MutationType()

    @mutation.field("undo")
    async def undo(_: Any, info: Any, tx: str) -> Any:
        caller = info.context.caller
        done = await undoing.undo(caller.actor, tx, OneView(info.context.view) if caller.through else None)
        return {
            "tx": tx, "revision": str(done.revision), "entities": done.result.get("entities", 0),
            # The answer names what others have made, which the app may not know.
            "leftOut": [] if caller.through else done.result.get("leftOut", []), "repeated": done.repeated,
        }  # fmt: skip

    return [PlatformFields(SDL, (mutation,), visible=lambda caller: caller.kind != "app")]
