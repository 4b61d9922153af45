"""What surrounds the call that an app is answering: who asked, in which run, until when, and what has been seen of the
log.

It follows the handler through everything it awaits (a context variable), so that the graph client and calls to other
apps carry run, ordinal and revision without being told.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from pcloud.errors import Rejected
from pcloud.revision import Revision

__all__ = ["CallContext", "Seen", "current_call", "entered"]


@dataclass(slots=True)
class Seen:
    """The newest revision that was seen; what is asked next waits until the view has it."""

    revision: str = ""

    def note(self, revision: str) -> None:
        """Keep the newer one. One of another epoch replaces what was there: the log it belonged to is gone."""
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

    `traceparent`: W3C trace context of the call, '' without traces; what the handler asks of PCloud goes on with it.
    `caller`: `owner`, `device:<id>` or `app:<name>`. `run`: the token of the run that this call belongs to, '' for a
    plain call. `attempt`: from 1. `replay`: the event that led here is from before. `deadline`: unix seconds.
    """

    id: str
    action: str
    caller: str
    run: str = ""
    attempt: int = 1
    replay: bool = False
    deadline: float = 0.0
    seen: Seen = field(default_factory=Seen)
    traceparent: str = ""
    _writes: int = 0

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - time.time())

    def next_ordinal(self) -> int:
        """The number of the next mutation in this run, from 1: the same in each attempt, so a repeated write is
        recognised."""
        self._writes += 1
        return self._writes


_current: ContextVar[CallContext | None] = ContextVar("pcloud_call", default=None)


def current_call() -> CallContext | None:
    """The call that the running task answers, or None outside of one."""
    return _current.get()


def entered(call: CallContext) -> None:
    """From here on, the running task (and what it starts) answers `call`."""
    _current.set(call)
