"""Requests that may last: WebSockets, streams, and whatever is passed on to an app. Each ends as soon as who made it may not be here.

Short answers of core's own are no part of it: who ends the own session still gets to know that it worked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Lasting"]

Still = Callable[[], bool]


class Lasting:
    """The requests that are being answered on this node."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[object], Still] = {}

    @contextmanager
    def request(self, still: Still) -> Iterator[None]:
        """Answer a request within; this task is cancelled when `still` is false at a `review`. It must be true now: nothing may be
        waited for between its last check and this."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = still
        try:
            yield
        finally:
            del self._open[task]

    def review(self) -> None:
        """Who may be here has changed, or time has passed."""
        for task, still in list(self._open.items()):
            if not still():
                task.cancel()
