"""The answer of an app: its result and the log's revision, or the error that ended its handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from pcloud.errors import PCloudError, Unavailable, error_from_code

__all__ = ["CallAnswer", "HandlerFailed", "NoInstance", "decode_answer"]

MESSAGE_LENGTH = 4_000
TRACEBACK_LENGTH = 20_000


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """`revision`: the newest one that the handler saw or made ('' if it touched nothing)."""

    result: Any
    revision: str = ""


class NoInstance(Unavailable):
    """The action has no listener: the app is starting, stopped or gone. Does not count as an attempt of a run."""


class HandlerFailed(Exception):
    """The handler's own error with its traceback, kept for the run's record; callers get only `error`."""

    def __init__(self, error: PCloudError, traceback: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.traceback = traceback


class _Error(msgspec.Struct, frozen=True):
    code: str = "INTERNAL"
    message: str = ""
    traceback: str = ""


class _Body(msgspec.Struct, frozen=True):
    result: Any = None
    revision: str = ""
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Body)


def decode_answer(name: str, status: str, body: bytes, limit: int) -> CallAnswer:
    """Read what the app published. Raises `HandlerFailed`, also for a malformed answer or one beyond `limit` bytes."""
    if len(body) > limit:
        raise HandlerFailed(
            error_from_code("REJECTED", f"{name} answered {len(body)} bytes, more than the {limit} that an answer may have: "
                            "put large data into the object store and answer with its address")
        )  # fmt: skip
    try:
        answer = _decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HandlerFailed(PCloudError(f"{name} gave an answer that can't be read: {error}")) from error
    if status != "ok" or answer.error is not None:
        told = answer.error or _Error(message="it failed without a message")
        message = f"{name}: {told.message[:MESSAGE_LENGTH]}"
        raise HandlerFailed(error_from_code(told.code, message), told.traceback[-TRACEBACK_LENGTH:])
    return CallAnswer(answer.result, answer.revision)
