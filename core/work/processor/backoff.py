"""How long to wait before the next attempt of a run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with equal jitter: half of the time is fixed and half is random, so that runs that failed together do
    not retry together (M. Brooker, "Exponential Backoff And Jitter", AWS 2015). Seconds."""

    first: float = 1.0
    factor: float = 2.0
    longest: float = 60.0

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return the pause after the `failures`-th failed attempt (from 1), with `draw` in [0, 1)."""
        # The exponent is limited as well: 2.0 ** 2000 overflows.
        full = min(self.longest, self.first * self.factor ** min(failures - 1, 64))
        return full / 2 + draw() * full / 2
