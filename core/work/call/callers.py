"""Who may call an app's actions now, and since when. An app that hands out keys needs this to end them together with the right that they
depend on. Also decides about calls of which only the action is known."""

from __future__ import annotations

from collections.abc import Iterator

from core.access.caller import OWNER as PERSON
from core.access.caller import Caller
from core.work.call.capability import OWNER
from core.work.call.permission import SCOPES
from core.work.call.target import ActionName
from pcloud.errors import Forbidden, NotFound
from pcloud.subject import split_name
from projections.directory import Directory

__all__ = ["CALLERS_CHANGED", "Rights", "callers_of", "demand_any"]

CALLERS_CHANGED = "callers-changed"
Rights = dict[str, dict[str, int]]
"""By caller, as the app knows it: action → the sequence in the log since which the caller may call it without a break."""


def callers_of(directory: Directory, app: str) -> Rights:
    """Raises `NotFound` for an app that is not installed. For the owner and for devices the sequence is 0: a device never regains a right
    that it has lost."""
    manifest = directory.app(app).manifest
    actions = [action.name for action in manifest.actions if not action.internal]
    names = [app, *(f"role:{role}" for role in manifest.provides if _holds(directory, app, role))]
    found = Rights()
    found[PERSON.actor] = dict.fromkeys(actions, 0)
    for device in _devices(directory):
        allowed = [
            action for action in actions if any(device.may(SCOPES.get(f"{name}/{action}", "manage")) for name in names)
        ]
        found[device.actor] = dict.fromkeys(allowed, 0)
    for receiver, target, since in _granted(directory):
        name, action = split_name(target)
        if name in names and action in actions and receiver != app and directory.is_here(receiver):
            rights = found.setdefault(f"app:{receiver}", {})
            rights[action] = min(since, rights.get(action, since))
    return found


def demand_any(directory: Directory, caller: Caller, name: ActionName) -> None:
    """Raises `Forbidden` unless the caller may call this now, in any form: by name, by a role, or by a capability."""
    rights = callers_of(directory, name.app)
    bounds = {caller.actor, caller.authority} - {f"app:{name.app}"}  # an app's own actions need no grant
    if any(name.action not in rights.get(bound, {}) for bound in bounds) or directory.is_internal(
        name.app, name.action
    ):
        through = f" through {caller.through}" if caller.through else ""
        raise Forbidden(f"{caller.actor}{through} no longer has the right to call {name}")


def _holds(directory: Directory, app: str, role: str) -> bool:
    try:
        return directory.holder(role) == app
    except NotFound:
        return False


def _devices(directory: Directory) -> Iterator[Caller]:
    for device in directory.records.devices.values():
        if device.asks:
            yield Caller("device", device.id, scopes=frozenset(device.scopes))


def _granted(directory: Directory) -> Iterator[tuple[str, str, int]]:
    """Yield app, target and since when, for each grant, and for each action that an app was handed."""
    approved = [grant for grant in directory.records.grants.values() if grant.approved and grant.verb == "call"]
    grants = [grant for grant in approved if directory.is_here(grant.app)]
    for grant in grants:
        yield grant.app, grant.target, directory.sequence_of("Grant", grant.id)
    for handed in directory.records.capabilities.values():
        since = directory.sequence_of("Capability", handed.id)
        if handed.giver in (OWNER, split_name(handed.action)[0]):
            yield handed.receiver, handed.action, since
        for grant in grants:
            if (grant.app, grant.target) == (handed.giver, handed.action):
                yield handed.receiver, handed.action, max(since, directory.sequence_of("Grant", grant.id))
