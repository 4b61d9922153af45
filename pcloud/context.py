"""The context of the call or page visit that an app is answering: the caller, the run, the deadline, and the newest
revision of the log that was seen.

It follows the handler through everything that it awaits (context variables), so that the graph client and calls to
other apps carry the visitor, run, ordinal and revision automatically.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from pcloud.errors import Rejected
from pcloud.revision import Revision

__all__ = ["USER_HEADER", "CallContext", "Seen", "current_call", "current_visitor", "entered", "own_work", "visited"]


USER_HEADER = "Pcloud-User"


@dataclass(slots=True)
class Seen:
    """The newest revision that was seen. The next query waits until the graph has reached it."""

    revision: str = ""

    def note(self, revision: str) -> None:
        """Keep the newer revision. One of another epoch replaces the old one, whose log no longer exists."""
        if not revision or revision == self.revision:
            return
        try:
            new = Revision.parse(revision)
            old = Revision.parse(self.revision) if self.revision else None
        except Rejected:
            return
        if old is None or old.epoch != new.epoch or old.sequence < new.sequence:
            self.revision = revision


@dataclass(slots=True)
class CallContext:
    """The call being answered.

    `traceparent`: W3C trace context of the call, '' without traces; requests of the handler to PCloud continue it.
    `caller`: decide rights by this. It is `app:<name>` if an app calls, also when a person or device acts through that
    app; otherwise `person:<id>` or `device:<id>`. `actor`: who acts. `run`: the token of the run that this call belongs
    to, '' for a plain call. `attempt`: from 1. `replay`: True if the event that led here is an old one. `deadline`:
    unix seconds; it moves by the time in which the process was stopped.
    """

    id: str
    action: str
    caller: str
    actor: str = ""
    run: str = ""
    attempt: int = 1
    replay: bool = False
    deadline: float = 0.0
    seen: Seen = field(default_factory=Seen)
    traceparent: str = ""
    _writes: int = 0

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; never negative."""
        return max(0.0, self.deadline - time.time())

    def next_ordinal(self) -> int:
        """The number of the next mutation in this run, from 1. It is the same in each attempt, so a repeated write is
        recognised."""
        self._writes += 1
        return self._writes


_current: ContextVar[CallContext | None] = ContextVar("pcloud_call", default=None)


def current_call() -> CallContext | None:
    """The call that the running task answers, or None outside of a call."""
    return _current.get()


def entered(call: CallContext) -> None:
    """Record that the running task, and every task that it starts, answers `call`."""
    _current.set(call)


_visitor: ContextVar[str] = ContextVar("pcloud_visitor", default="")


def current_visitor() -> str:
    """PCloud's signed header for the visitor whose request the running task answers; '' outside of a request."""
    return _visitor.get()


@contextmanager
def visited(header: str) -> Generator[None]:
    """Requests to PCloud in this block, and in tasks started in it, are made for this visitor ('': without a
    visitor)."""
    token = _visitor.set(header)
    try:
        yield
    finally:
        _visitor.reset(token)


def own_work() -> AbstractContextManager[None]:
    """Requests to PCloud in this block, and in tasks started in it, are the app's own work, made with the app's grants
    alone. Use it for what serves all visitors or continues after this visitor's request."""
    return visited("")
