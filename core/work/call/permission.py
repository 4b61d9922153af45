"""Who may call what: a device by its scopes, an app by its grants, and a person or device that acts through an app by both. The
`directory` decides whether an action exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.access.caller import Caller, Scope
from core.work.call.target import ActionName, RoleAction, Target
from pcloud.errors import Forbidden

__all__ = ["Permission", "Refused", "calling_app", "demand", "demand_scope"]


class Refused(Forbidden):
    """Core itself, not the called app, refuses a stored call: its caller's right has ended."""


class Permission(Protocol):
    """Answers from the current grants; `projections.directory.Directory` is one implementation."""

    def may_call(self, app: str, target: str) -> bool:
        """Return True if the owner approved that `app` calls `target`, in the form in which its manifest asks for it."""
        ...


def calling_app(caller: Caller) -> str:
    """Return the app whose grants limit this caller; '' for a person or device at core's own origin."""
    return caller.view_app


# What a device may call without the scope `manage`: core knows the effect of a role's actions, but not of others.
SCOPES: Mapping[str, Scope] = {
    "role:object-storage/get-object": "view",
    "role:object-storage/list-objects": "view",
    "role:object-storage/put-object": "upload",
}


def demand_scope(caller: Caller, target: Target) -> None:
    """Raises `Forbidden` for a device whose scopes do not allow this action, through any app."""
    caller.demand(SCOPES.get(str(target), "manage"))


def demand(permission: Permission, caller: Caller, target: ActionName | RoleAction) -> None:
    """Raises `Forbidden` unless the caller may call this; an app may always call its own actions."""
    app = calling_app(caller)
    if not app or (isinstance(target, ActionName) and target.app == app):
        return
    if not permission.may_call(app, str(target)):
        raise Forbidden(
            f"{app} has no grant to call {target}: request it in app.yaml under `uses`, and have the owner approve it"
        )
