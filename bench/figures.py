"""The result of a measurement: many values, of which the median and the spread are shown."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True)
class Figure:
    """`values`: all measured values, in `unit`; empty: it was not measured, and is shown so. `bound`: the project's own
    goal; `least`: True if more is better."""

    name: str
    unit: str
    values: tuple[float, ...]
    bound: float | None = None
    least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values) if self.values else math.nan

    @property
    def high(self) -> float:
        """The 99th percentile; with few values, the largest."""
        if not self.values:
            return math.nan
        return sorted(self.values)[min(len(self.values) - 1, int(len(self.values) * 0.99))]

    @property
    def holds(self) -> bool | None:
        if self.bound is None or not self.values:
            return None
        return self.median >= self.bound if self.least else self.median <= self.bound

    def row(self) -> tuple[str, str, str, str]:
        goal = "" if self.bound is None else f"{'≥' if self.least else '≤'} {self.bound:,g}"
        if self.holds is not None:
            goal += " ✓" if self.holds else " ✗"
        spread = f"{_rounded(min(self.values))} – {_rounded(max(self.values))}" if len(self.values) > 1 else ""
        return self.name, f"{_rounded(self.median)} {self.unit}" if self.values else "not measured", spread, goal


def _rounded(value: float) -> str:
    """Three significant digits, as people write them: 0.0487, 12.5, 4,610."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
