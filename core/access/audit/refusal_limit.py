"""Keeps refusals from filling the audit log: a caller that is refused a thousand times a second would push out all older records.

In each window of time, a number of refusals of one kind to one actor (through one app) are recorded one by one. Further refusals are
counted, and recorded as one record, in the form of the last of them, when the window ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["RefusalLimit"]

Record = Mapping[str, Any]


@dataclass(slots=True)
class _Window:
    end: asyncio.TimerHandle
    told: int = 0
    counted: int = 0
    last: Record | None = None


class RefusalLimit:
    """`overflow` receives the one record for the counted refusals. `close` ends all windows now."""

    def __init__(self, most: int = 30, seconds: float = 10.0) -> None:
        self._most = most
        self._seconds = seconds
        self._windows: dict[tuple[Any, Any, Any], _Window] = {}
        self.overflow: Callable[[Record], None] = lambda record: None

    def admit(self, record: Record) -> bool:
        """Return True if this one is recorded now; else it is counted."""
        key = record.get("kind"), record.get("actor"), record.get("through")
        if (window := self._windows.get(key)) is None:
            end = asyncio.get_running_loop().call_later(self._seconds, self._end, key)
            window = self._windows[key] = _Window(end)
        if window.told < self._most:
            window.told += 1
            return True
        window.counted += int(record.get("count", 1))
        window.last = record
        return False

    def close(self) -> None:
        for key, window in list(self._windows.items()):
            window.end.cancel()
            self._end(key)

    def _end(self, key: tuple[Any, Any, Any]) -> None:
        window = self._windows.pop(key)
        if window.last is not None:
            self.overflow({**window.last, "count": window.counted})
