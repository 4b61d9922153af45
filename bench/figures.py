"""What a measurement gives: many values, of which the median and the spread are shown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True)
class Figure:
    """`values`: all that were measured, in `unit`. `bound`: what the project holds itself to; `least`: whether more is better."""

    name: str
    unit: str
    values: tuple[float, ...]
    bound: float | None = None
    least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def high(self) -> float:
        """The 99th percentile; with few values, the largest."""
        return sorted(self.values)[min(len(self.values) - 1, int(len(self.values) * 0.99))]

    @property
    def holds(self) -> bool | None:
        if self.bound is None:
            return None
        return self.median >= self.bound if self.least else self.median <= self.bound

    def row(self) -> tuple[str, str, str, str]:
        goal = "" if self.bound is None else f"{'≥' if self.least else '≤'} {self.bound:g} {'✓' if self.holds else '✗'}"
        spread = f"{min(self.values):.3g} – {max(self.values):.3g}" if len(self.values) > 1 else ""
        return self.name, f"{self.median:.3g} {self.unit}", spread, goal
