"""The record of one run: an action called for an event, by `send` or by an installation, and how it ended.

Only core writes records, to `run.<app>.<action>.<id>` on the stream RUNS, as JSON; the last one on a subject is the
run's state.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pcloud.errors import Corrupt

__all__ = ["Run", "RunError", "RunKind", "RunState", "decode_run", "encode_run"]

RunState = Literal["NEW", "IN_PROGRESS", "DONE", "FAILED"]
RunKind = Literal["trigger", "send", "init"]


class RunError(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    traceback: str = ""


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """`trigger` is `app/trigger` ('' without one), `entity` the event's entity (`app/Type/id`, '' without one) and
    `sequence` the event's (0 without one). `target`: what a durable call or an init action calls, as it was named:
    `app/action`, `role:ROLE/action`, or `handed:ID` with the id of a capability's record ('' if its trigger's manifest
    says it). `actions`: those handed over, `app/action` by argument. `generation`: counts replays, from 0. `actor`: who
    asked for it, `through` which app, or ''. `attempt`: from 1, at most `attempts`. Times are seconds since 1970."""

    id: str
    app: str
    action: str
    state: RunState = "NEW"
    kind: RunKind = "trigger"
    trigger: str = ""
    target: str = ""
    entity: str = ""
    sequence: int = 0
    generation: int = 0
    attempt: int = 0
    attempts: int = 1
    args: dict[str, Any] = {}
    actions: dict[str, str] = {}
    actor: str = ""
    through: str = ""
    cause: str = ""
    depth: int = 0
    error: RunError | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    next_attempt: float | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Run).decode


def encode_run(run: Run) -> bytes:
    return _encode(run)


def decode_run(body: bytes) -> Run:
    """Raises `Corrupt` if the body is not a run."""
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a run's record can't be read: {error}; it begins {body[:80]!r}") from error
