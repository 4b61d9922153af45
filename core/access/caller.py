"""Who asks, and through which app. Every request, call and command carries one of these; nothing in core acts without it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from pcloud.errors import Corrupt, Forbidden
from pcloud.upcast import upcast_actor
from projections.directory import Directory, Scope

__all__ = ["CORE", "OWNER", "Caller", "RunContext", "Scope", "caller_now"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """An open run of the event processor or of a durable call.

    `id`: hash of trigger and event sequence (or of sender and key). `generation`: counts replays, from 0. `cause`: the transaction or
    run that led here. `depth`: causes so far; a bound on it stops loops. `replay`: the event is from before, not new.
    """

    id: str
    generation: int = 0
    cause: str = ""
    depth: int = 0
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a person, one of the person's devices, or an app for itself.

    `name`: the person's id, the device's or the app's name. `through`: the app through whose page, gateway or web server a person or
    device acts, '' at core's own origin; then both have to be allowed what is asked for. `scopes`: what a device was paired for; people
    and apps have none, and need none. `session`: of the browser that asks, '' for others.
    """

    kind: Literal["person", "device", "app"]
    name: str
    through: str = ""
    run: RunContext | None = None
    scopes: frozenset[Scope] = frozenset()
    session: str = field(default="", compare=False)

    @property
    def actor(self) -> str:
        """As it stands in an event's header: `person:<id>`, `device:<id>` or `app:<name>`."""
        return f"{self.kind}:{self.name}"

    @property
    def view_app(self) -> str:
        """The app whose grants bound this caller; '' for the person's own full view."""
        return self.name if self.kind == "app" else self.through

    @property
    def authority(self) -> str:
        """Whose rights an action that is called decides by, and whose quota counts: the app where there is one, else the actor."""
        return f"app:{self.view_app}" if self.view_app else self.actor

    def may(self, scope: Scope) -> bool:
        """Whether the device was paired for this; `manage` holds all of them."""
        return self.kind != "device" or scope in self.scopes or "manage" in self.scopes

    def demand(self, scope: Scope) -> None:
        """Raises `Forbidden` for a device that was not paired for this."""
        if not self.may(scope):
            scopes = ", ".join(sorted(self.scopes)) or "nothing"
            raise Forbidden(
                f"this device may {scopes}, and this takes the scope {scope!r}: pair it again with `--scope {scope}`"
            )


OWNER = Caller("person", "owner")
"""The first person of every cloud, whose it is."""

CORE = Caller("app", "core")
"""PCloud itself, where no person and no app asks."""


def caller_now(directory: Directory, actor: str, through: str = "") -> Caller:
    """The caller that stands as `actor` in a record, with the scopes of now. Raises `Forbidden` for a device that is no longer paired."""
    kind, _, name = upcast_actor(actor).partition(":")
    if kind not in ("person", "device", "app"):
        raise Corrupt(f"{actor!r} is no actor: want person:ID, device:ID or app:NAME")
    caller = Caller(kind, name, through)
    if kind != "device":
        return caller
    device = directory.records.devices.get(name)
    if device is None or not device.asks:
        raise Forbidden(f"the device {name} is no longer paired, so nothing is done in its name")
    return replace(caller, scopes=frozenset(device.scopes))
