"""Who asks. Every request, call and command carries one of these; nothing in core acts without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Caller", "RunContext"]


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
    """The owner, one of the owner's devices, or an app.

    `name`: the device's id or the app's name. `eyes`: an app's name when the owner or a device looks through that app's view, as its
    web page does: the owner's rights cut down to the app's grants.
    """

    kind: Literal["owner", "device", "app"]
    name: str = ""
    eyes: str = ""
    run: RunContext | None = None

    @property
    def actor(self) -> str:
        """As it stands in an event's header: `owner`, `device:<id>` or `app:<name>`."""
        return self.kind if self.kind == "owner" else f"{self.kind}:{self.name}"

    @property
    def view_app(self) -> str:
        """The app whose view this caller has; '' for the owner's full view."""
        return self.name if self.kind == "app" else self.eyes
