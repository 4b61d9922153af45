"""Converts an event's body from the version it was written with to today's, one pure step at a time, and the actor in
its headers likewise.

To change the shape of a body, raise `CURRENT_VERSION` and add the step from the version before to `STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["CURRENT_VERSION", "upcast", "upcast_actor"]

Body = dict[str, Any]

CURRENT_VERSION = 1
STEPS: Mapping[int, Callable[[Body], Body]] = {}


def upcast(body: Body, steps: Mapping[int, Callable[[Body], Body]] = STEPS, current: int = CURRENT_VERSION) -> Body:
    """The body in today's shape; raises `ValueError` for a version that this program does not know."""
    version = body["v"]
    if not isinstance(version, int) or not 1 <= version <= current:
        raise ValueError(
            f"event body version {version!r} is unknown to this program, which knows 1 to {current}: update PCloud"
        )
    for step in range(version, current):
        body = {**steps[step](body), "v": step + 1}
    return body


def upcast_actor(actor: str) -> str:
    """The actor in today's form: `person:owner` for `owner`, which events say from the time when a cloud had one
    person."""
    return "person:owner" if actor == "owner" else actor
