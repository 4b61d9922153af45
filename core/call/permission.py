"""Who may call what. Decides on grants alone; that the action exists is `directory`'s business."""

from __future__ import annotations

from typing import Protocol

from core.call.target import ActionName, RoleAction
from core.caller import Caller
from pcloud.errors import Forbidden

__all__ = ["Permission", "calling_app", "demand"]


class Permission(Protocol):
    """Answers from the grants of now; `projections.directory.Directory` is one."""

    async def may_call(self, app: str, target: str) -> bool:
        """Whether the owner approved that `app` calls `target`, in the form in which its manifest asks for it."""
        ...


def calling_app(caller: Caller) -> str:
    """The app whose grants bound this caller; '' for the owner and the owner's devices, who may call everything."""
    return caller.view_app


async def demand(permission: Permission, caller: Caller, target: ActionName | RoleAction) -> None:
    """Raises `Forbidden` unless the caller may call this; an app may always call its own actions."""
    app = calling_app(caller)
    if not app or (isinstance(target, ActionName) and target.app == app):
        return
    if not await permission.may_call(app, str(target)):
        raise Forbidden(f"{app} has no grant to call {target}: it has to ask for it under `uses` in its app.yaml")
