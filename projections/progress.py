"""The progress of a rebuild, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "Rebuilt", "Tell"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`sequence` of `last`; `rate`: events a second so far; `eta`: seconds that are left, at this rate."""

    sequence: int
    last: int
    rate: float
    eta: float

    def __str__(self) -> str:
        left = f", {self.eta:,.0f} s left" if self.rate else ""
        return f"{self.sequence:,} of {self.last:,} events, {self.rate:,.0f} a second{left}"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`version`: the name of the one in use now, `previous`: of the one before. `events`: how many were folded, in
    `seconds`."""

    version: str
    previous: str
    events: int
    seconds: float


Tell = Callable[[Progress], None]
