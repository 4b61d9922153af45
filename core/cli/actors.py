"""Names actors in words: `you`, `device 0123…`, an app's name, and the app through which they acted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["who"]


def who(record: Mapping[str, Any]) -> str:
    """Return the actor of anything with `actor` and `through`: an event, a record of the audit log, a run, a link of its chain."""
    actor, through = str(record.get("actor", "")), record.get("through")
    kind, _, name = actor.partition(":")
    if actor == "person:owner":
        actor = "you"
    elif kind == "app":
        actor = name
    elif name:
        actor = f"{kind} {name}"
    return f"{actor}, through {through}" if through else actor
