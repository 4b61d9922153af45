"""Requests that may last: WebSockets, streams, and everything that is passed on to an app. Each ends as soon as its
caller may not be here any more.

Core's own short answers are excepted, so that a user who ends their own session still gets the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Lasting"]

Still = Callable[[], bool]


class Lasting:
    """The requests that this node is answering."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[object], Still] = {}

    @contextmanager
    def request(self, still: Still) -> Generator[None]:
        """Answer a request within; this task is cancelled if `still` is false at a `review`. It must be true at the
        start: do not await between its last check and this call."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = still
        try:
            yield
        finally:
            del self._open[task]

    def review(self) -> None:
        """Check all requests again, after a change of rights or as time passes."""
        for task, still in list(self._open.items()):
            if not still():
                task.cancel()
