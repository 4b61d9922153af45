"""The tracer that core needs, and one that does nothing.

A trace is carried on by W3C's `traceparent` (https://www.w3.org/TR/trace-context/): in an HTTP request, in the header of an event on
the log, of a durable call, of a call on the bus. Within one task it is carried on by itself.

Names and attributes hold apps, types, actions and ids of runs and transactions; never arguments, results or the contents of the graph.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol

__all__ = ["NO_TRACES", "Kind", "NoTraces", "Span", "Tracer", "Value"]

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool


class Span(Protocol):
    @property
    def traceparent(self) -> str:
        """What to pass on, so that resulting spans belong to this one; '' without traces."""
        ...

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name stands for a dot."""
        ...

    def rename(self, name: str) -> None:
        """Set the name, if it was not known at the beginning."""
        ...

    def fail(self, code: str) -> None:
        """Record that the span ended with this error."""
        ...


class Tracer(Protocol):
    def span(
        self, name: str, kind: Kind = "internal", parent: str = "", **attributes: Value
    ) -> AbstractContextManager[Span]:
        """Trace the block; below `parent` (a traceparent; an invalid one begins a new trace), else below the task's current
        span. For an error that leaves the block, only its code is recorded."""
        ...

    def past(self, name: str, kind: Kind, parent: str, began: float, ended: float, **attributes: Value) -> None:
        """Record a span that is over already; times in seconds since 1970."""
        ...


class NoTraces:
    """Costs one function call."""

    traceparent = ""

    def span(self, name: str, kind: Kind = "internal", parent: str = "", **attributes: Value) -> NoTraces:
        return self

    def past(self, name: str, kind: Kind, parent: str, began: float, ended: float, **attributes: Value) -> None:
        pass

    def note(self, **attributes: Value) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def __enter__(self) -> NoTraces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


NO_TRACES = NoTraces()
