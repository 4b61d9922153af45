"""`callAction`: how people, devices and an app's web pages call actions over GraphQL. Apps themselves use their gateway."""

from __future__ import annotations

from typing import Any, cast

from ariadne import MutationType

from core.graph.api import PlatformFields
from core.work.call.calls import Calls
from pcloud.errors import Rejected

__all__ = ["call_fields"]

SDL = """
type Mutation {
  # Call an action and wait for its answer. `app` may be `role:ROLE`; `actions`: actions to pass on, "app/action" by argument.
  callAction(app: String!, action: String!, args: JSON, actions: JSON): JSON
}
"""


def call_fields(calls: Calls) -> list[PlatformFields]:
    """For `Api.add_fields`."""
    mutation = MutationType()

    @mutation.field("callAction")
    async def call(_: Any, info: Any, app: str, action: str, args: Any = None, actions: Any = None) -> Any:
        if args is not None and not isinstance(args, dict):
            raise Rejected('`args` must be an object of names and values, such as {image: "0190…"}')
        if actions is not None and not is_actions(actions):
            raise Rejected(
                '`actions` must be an object of names and actions, such as {webhook: "image-importer/new-object"}'
            )
        caller, revision = info.context.caller, info.context.headers.get("Pcloud-Revision", "")
        called = await calls.call(
            caller, f"{app}/{action}", cast("dict[str, Any]", args or {}), actions=actions or {}, revision=revision
        )
        return called.result

    return [PlatformFields(SDL, (mutation,), visible=lambda caller: caller.kind != "app", checks_scope=True)]


def is_actions(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(action, str) for action in cast("dict[str, Any]", value).values())
