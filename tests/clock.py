"""A clock that a test moves."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """`now`: seconds, what it answers until the test changes it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
