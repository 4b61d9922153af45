"""An action handed to another app: it reaches the receiver as the argument `capability:TOKEN`, which only the receiver may
call, and only while the giver itself may.

Actions are handed over in a separate part of the call, `actions: {webhook: image-importer/new-object}`. No value
of an argument ever becomes a capability: values are other people's data.

The token is a keyed hash of giver, receiver and action: it can't be guessed without the log's key. The same grant of
an action gives the same token, so that an init action that runs again leaves one capability, not two. The log holds only
the token's hash."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Protocol

from core.access.caller import OWNER as PERSON
from core.access.caller import Caller
from core.graph.command import EntityChange
from core.work.call.permission import calling_app, demand
from core.work.call.target import ActionName, CapabilityName
from pcloud.errors import Forbidden, Rejected
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.directory import Directory

__all__ = ["Capabilities", "CommandWriter"]

OWNER = "owner"
LIMIT = 16


class CommandWriter(Protocol):
    """The part of `core.graph.command.Commands` that this file uses."""

    async def write(
        self,
        actor: str,
        changes: list[EntityChange],
        *,
        key: str | None = None,
        cause: str = "",
        depth: int = 0,
        through: str = "",
    ) -> Revision: ...


class Capabilities:
    """Mints and checks capabilities. `key`: the log's secret (`EventStore.id_key`)."""

    def __init__(self, key: bytes, directory: Directory, commands: CommandWriter) -> None:
        self._key = hmac.digest(key, b"pcloud capability", "sha256")
        self._directory = directory
        self._commands = commands

    async def mint_all(self, caller: Caller, receiver: str, actions: Mapping[str, str]) -> dict[str, str]:
        """Return the capability for each argument of `actions`. Raises `Rejected`, or `Forbidden` for an action that the
        caller may not hand over."""
        return {name: await self.mint(caller, receiver, action) for name, action in _parsed(actions).items()}

    def demand(self, caller: Caller, actions: Mapping[str, str]) -> None:
        """Raise now what `mint_all` would raise later."""
        for action in _parsed(actions).values():
            demand(self._directory, caller, action)

    async def mint(self, caller: Caller, receiver: str, action: ActionName) -> str:
        """Return `capability:TOKEN` for `receiver`, recorded as a node `core/Capability`."""
        demand(self._directory, caller, action)
        giver = calling_app(caller) or OWNER
        token = self._token(giver, receiver, action)
        ref = Ref.make("core", "Capability", CapabilityName.of(token).id)
        if self._directory.capability(ref.id) is None:
            fields = {"giver": giver, "receiver": receiver, "action": str(action), "createdAt": _now()}
            await self._commands.write(caller.actor, [EntityChange(ref, "upsert", set=fields)], through=caller.through)
        return f"capability:{token}"

    def resolve(self, caller: Caller, name: CapabilityName) -> ActionName:
        """Return its action. Raises `Forbidden` unless the capability is the caller's and its giver may still call the action."""
        known = self._directory.capability(name.id)
        receiver = calling_app(caller)
        if known is None or not receiver or known.receiver != receiver:
            raise Forbidden("you do not hold this capability: it was revoked, or given to another app")
        action, giver = ActionName.parse(known.action), known.giver
        demand(self._directory, PERSON if giver == OWNER else Caller("app", giver), action)
        return action

    def _token(self, giver: str, receiver: str, action: ActionName) -> str:
        # A part can't contain a NUL, so the join is unambiguous.
        mac = hmac.digest(self._key, "\0".join((giver, receiver, str(action))).encode(), "sha256")
        return urlsafe_b64encode(mac).decode().rstrip("=")


def _parsed(actions: Mapping[str, str]) -> dict[str, ActionName]:
    """Return the actions by argument."""
    if len(actions) > LIMIT:
        raise Rejected(f"{len(actions)} actions are handed over in one call, {LIMIT} are allowed")
    return {name: ActionName.parse(action) for name, action in actions.items()}


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
