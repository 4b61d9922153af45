"""The outside connections of apps: bounded, counted, cut when their grant is withdrawn, and recorded in the audit log.

An audit record covers one app and one destination for about a minute. In that time up to `MOST_TOLD` destinations
get a record each and all others share one, so that an app which connects to very many hosts does not push other
records out.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pcloud.errors import Unavailable

__all__ = ["Flow", "Flows", "Tally"]

MOST_FLOWS = 256
WINDOW_SECONDS = 60.0
MOST_TOLD = 20
OTHERS = "other hosts"


@dataclass(slots=True)
class Tally:
    """Traffic: connections begun, bytes that the app sent and received."""

    connections: int = 0
    sent: int = 0
    received: int = 0

    def __str__(self) -> str:
        many = "1 connection" if self.connections == 1 else f"{self.connections:,} connections"
        return f"{many}, {self.sent:,} bytes sent, {self.received:,} received"


@dataclass(slots=True, eq=False)
class Flow:
    """One connection, from before its destination is decided. `task` serves it; cancelling it closes both ends."""

    app: str
    host: str
    port: int
    task: asyncio.Task[Any]
    begun: bool = False


@dataclass(slots=True)
class _Window:
    end: asyncio.TimerHandle
    since: float
    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])

    def tally(self, to: str) -> Tally:
        if to not in self.tallies and len(self.tallies) >= MOST_TOLD:
            to = OTHERS
        return self.tallies.setdefault(to, Tally())


class Flows:
    """The connections of all apps. `noted` receives each record. `close()` it when core stops."""

    def __init__(self, noted: Callable[[Mapping[str, Any]], None]):
        self._noted = noted
        self._open: set[Flow] = set()
        self._count = Counter[str]()
        self._windows: dict[str, _Window] = {}
        self.totals: dict[str, Tally] = {}

    @contextmanager
    def open(self, app: str, host: str, port: int) -> Generator[Flow]:
        """Reserve a place for a connection that the running task serves; raises `Unavailable` if the app has too many."""
        if self._count[app] >= MOST_FLOWS:
            raise Unavailable(f"{app} has {MOST_FLOWS} outside connections open already: it must close some first")
        task = asyncio.current_task()
        assert task is not None
        flow = Flow(app, host, port, task)
        self._open.add(flow)
        self._count[app] += 1
        try:
            yield flow
        finally:
            self._open.discard(flow)
            self._count[app] -= 1

    def passed(self, flow: Flow, sent: int, received: int) -> None:
        """Count bytes that were passed on; (0, 0) when the connection begins."""
        new, flow.begun = not flow.begun, True
        to = f"{flow.host}:{flow.port}"
        for tally in (self.totals.setdefault(flow.app, Tally()), self._window(flow.app).tally(to)):
            tally.connections += new
            tally.sent += sent
            tally.received += received

    def cut(self, allowed: Callable[[Flow], bool]) -> None:
        """Close the connections that are not allowed (any more)."""
        for flow in [flow for flow in self._open if not allowed(flow)]:
            flow.task.cancel()

    def close(self) -> None:
        for app, window in list(self._windows.items()):
            window.end.cancel()
            self._end(app)

    def _window(self, app: str) -> _Window:
        if app not in self._windows:
            end = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._end, app)
            self._windows[app] = _Window(end, time.time())
        return self._windows[app]

    def _end(self, app: str) -> None:
        window = self._windows.pop(app)
        for to, tally in window.tallies.items():
            self._noted({
                "kind": "network", "time": window.since, "actor": f"app:{app}", "through": "", "target": to, "what": str(tally),
                "outcome": "OK", "seconds": time.time() - window.since,
            })  # fmt: skip
