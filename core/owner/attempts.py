"""Counts wrong credentials, and says when it is enough for a while.

The credential has 160 random bits, so nobody guesses it; this keeps whoever tries from costing much, and from filling the audit log.
"""

from __future__ import annotations

import time
from collections import deque

__all__ = ["Attempts"]


class Attempts:
    """`most` wrong ones within `seconds`; then none is looked at until the oldest of them is that old."""

    def __init__(self, most: int = 10, seconds: float = 60.0):
        self._wrong: deque[float] = deque(maxlen=most)
        self._most = most
        self._seconds = seconds

    def wait(self) -> float:
        """Seconds until the next one is looked at; 0 for now."""
        if len(self._wrong) < self._most:
            return 0.0
        return max(0.0, self._wrong[0] + self._seconds - time.monotonic())

    def wrong(self) -> None:
        self._wrong.append(time.monotonic())
