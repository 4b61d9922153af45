"""What core needs of a tracer, and the one that does nothing.

A trace goes on by W3C's `traceparent` (https://www.w3.org/TR/trace-context/): in an HTTP request, in the header of an event on
the log, of a durable call, of a call on the bus. Within one task it goes on by itself.

Names and attributes tell apps, types, actions and ids of runs and transactions; never arguments, results or what is in the graph.
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
        """What to hand on, so that what comes of it belongs here; '' without traces."""
        ...

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name stands for a dot."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that was not known when it began."""
        ...

    def fail(self, code: str) -> None:
        """Say that it ended with this error."""
        ...


class Tracer(Protocol):
    def span(
        self, name: str, kind: Kind = "internal", parent: str = "", **attributes: Value
    ) -> AbstractContextManager[Span]:
        """What happens within; below `parent` (a traceparent; one that is none begins a new trace), else below the span that
        this task is in. An error that leaves the block is noted by its code alone."""
        ...

    def past(self, name: str, kind: Kind, parent: str, began: float, ended: float, **attributes: Value) -> None:
        """A span that is over already; seconds since 1970."""
        ...


class NoTraces:
    """Costs a call and nothing else."""

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
