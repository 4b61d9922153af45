"""What surrounds the call, or the visit of its pages, that an app is answering: who asked, in which run, until when, and
what has been seen of the log.

It follows the handler through everything it awaits (context variables), so that the graph client and calls to other
apps carry visitor, run, ordinal and revision without being told.
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
    `caller`: by whose rights to decide: `app:<name>` where an app calls, or a person or device through an app; else
    `person:<id>` or `device:<id>`. `actor`: who that is. `run`: the token of the run that this call belongs to, '' for a
    plain call. `attempt`: from 1. `replay`: the event that led here is from before. `deadline`: unix seconds.
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


_visitor: ContextVar[str] = ContextVar("pcloud_visitor", default="")


def current_visitor() -> str:
    """What PCloud said of the visitor whose request the running task answers; '' outside of one."""
    return _visitor.get()


@contextmanager
def visited(header: str) -> Generator[None]:
    """What is asked of PCloud within, also by tasks that are started within, is asked for this visitor ('': for none)."""
    token = _visitor.set(header)
    try:
        yield
    finally:
        _visitor.reset(token)


def own_work() -> AbstractContextManager[None]:
    """What is asked of PCloud within, also by tasks that are started within, is the app's own work, with the app's grants
    alone: what serves all visitors, or goes on after this one's request."""
    return visited("")
