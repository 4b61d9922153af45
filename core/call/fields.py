"""`callAction`: how people, devices and an app's web pages call actions over GraphQL. Apps themselves have their gateway."""

from __future__ import annotations

from typing import Any

from core.api import FieldInfo, RootField
from core.call.calls import Calls
from core.caller import Caller
from pcloud.errors import Rejected

__all__ = ["call_fields"]

# Call an action and wait for its answer. `app` may be `role:ROLE`; `actions`: those to hand over, "app/action" by argument.
CALL = "callAction(app: String!, action: String!, args: JSON, actions: JSON): JSON"


def call_fields(calls: Calls) -> list[RootField]:
    """For `Api.add_fields`."""

    async def call(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        args = arguments.get("args")
        if args is not None and not isinstance(args, dict):
            raise Rejected('`args` is an object of names and values, such as {image: "0190…"}')
        actions = arguments.get("actions")
        if actions is not None and not is_actions(actions):
            raise Rejected(
                '`actions` is an object of names and actions, such as {webhook: "image-importer/new-object"}'
            )
        target = f"{arguments['app']}/{arguments['action']}"
        revision = info.headers.get("Pcloud-Revision", "")
        return (await calls.call(caller, target, args or {}, actions=actions or {}, revision=revision)).result

    return [RootField("mutation", CALL, call, visible=lambda caller: caller.kind != "app", checks_scope=True)]


def is_actions(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(action, str) for action in value.values())
