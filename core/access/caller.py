"""The caller and the app through which it acts. Every request, call and command carries a `Caller`; core does nothing without one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from pcloud.errors import Corrupt, Forbidden
from pcloud.upcast import upcast_actor
from projections.directory import Directory, Scope

__all__ = ["CORE", "MAX_DEPTH", "OWNER", "Caller", "RunContext", "Scope", "caller_now"]

# Causes behind a write, a call or a run. Beyond this, apps are triggering each other in a circle.
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class RunContext:
    """An open run of the event processor or of a durable call.

    `id`: hash of trigger and event sequence (or of sender and key). `generation`: counts replays, from 0. `cause`: the transaction or
    run that led here. `depth`: causes so far, at most `MAX_DEPTH`. `replay`: True if the event is from the past.
    """

    id: str
    generation: int = 0
    cause: str = ""
    depth: int = 0
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller: a person, one of the person's devices, or an app for itself.

    `name`: the person's id, or the name of the device or app. `through`: the app through whose page, gateway or web server a person or
    device acts, '' at core's own origin; then both need the permission. `scopes`: what a device was paired for; people
    and apps have no scopes and need none. `session`: the browser's session, '' for other callers.
    """

    kind: Literal["person", "device", "app"]
    name: str
    through: str = ""
    run: RunContext | None = None
    scopes: frozenset[Scope] = frozenset()
    session: str = field(default="", compare=False)

    @property
    def actor(self) -> str:
        """The caller in an event's header: `person:<id>`, `device:<id>` or `app:<name>`."""
        return f"{self.kind}:{self.name}"

    @property
    def view_app(self) -> str:
        """The app whose grants limit this caller; '' for the person's own full view."""
        return self.name if self.kind == "app" else self.through

    @property
    def authority(self) -> str:
        """The app or actor whose rights a called action checks and whose quota counts: the app if there is one, else the actor."""
        return f"app:{self.view_app}" if self.view_app else self.actor

    def may(self, scope: Scope) -> bool:
        """Return True if the device was paired for this scope; `manage` includes all scopes."""
        return self.kind != "device" or scope in self.scopes or "manage" in self.scopes

    def demand(self, scope: Scope) -> None:
        """Raises `Forbidden` for a device that was not paired for this scope."""
        if not self.may(scope):
            scopes = ", ".join(sorted(self.scopes)) or "nothing"
            raise Forbidden(
                f"this device may {scopes}, and this needs the scope {scope!r}: pair it again with `--scope {scope}`"
            )


OWNER = Caller("person", "owner")
"""The first person of every cloud, its owner."""

CORE = Caller("app", "core")
"""PCloud itself, for work that is not requested by a person or an app."""


def caller_now(directory: Directory, actor: str, through: str = "") -> Caller:
    """Return the caller that a record names as `actor`, with its current scopes. Raises `Forbidden` for a device no longer paired."""
    kind, _, name = upcast_actor(actor).partition(":")
    if kind not in ("person", "device", "app"):
        raise Corrupt(f"{actor!r} is not an actor: use person:ID, device:ID or app:NAME")
    caller = Caller(kind, name, through)
    if kind != "device":
        return caller
    device = directory.records.devices.get(name)
    if device is None or not device.asks:
        raise Forbidden(f"the device {name} is no longer paired, so nothing is done on its behalf")
    return replace(caller, scopes=frozenset(device.scopes))
