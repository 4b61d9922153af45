"""Draws small charts as SVG, by hand: lines over logarithmic axes, and bars that compare. Each has a panel of its own,
light or dark like the reader's theme."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

__all__ = ["bars", "lines"]

# Each colour stands out from the light panel and from the dark one.
COLOURS = ("#3b82f6", "#d97706", "#059669", "#8b5cf6", "#ef4444", "#0891b2")
STYLE = """<style>
  text { font-family: system-ui, sans-serif; font-size: 13px; fill: #334155 }
  .panel { fill: #ffffff } line { stroke: #cbd5e1 } .goal { stroke: #334155 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e2e8f0 } .panel { fill: #1e293b } line { stroke: #475569 } .goal { stroke: #e2e8f0 }
  }
</style>"""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 250, 40, 50


def lines(title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Each series' points (x, y), both above 0."""
    points = [point for one in series.values() for point in one]
    across_range, up_range = _decades([x for x, _ in points]), _decades([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + _share(x, across_range) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - _share(y, up_range) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_text(LEFT, 22, title, weight=600)]
    for power in range(across_range[0], across_range[1] + 1):
        x, y = place(10.0**power, 10.0 ** up_range[0])
        parts += [_line(x, y, x, TOP), _text(x, y + 18, _number(power), anchor="middle")]
    for power in range(up_range[0], up_range[1] + 1):
        x, y = place(10.0 ** across_range[0], 10.0**power)
        parts += [_line(x, y, WIDTH - RIGHT, y), _text(x - 8, y + 4, _number(power), anchor="end")]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, anchor="middle"))
    parts.append(_text(12, TOP - 6, up))
    for number, (name, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        spots = [place(x, y) for x, y in values]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in spots]
        y = TOP + 14 + 22 * number
        parts += [
            f'<circle cx="{WIDTH - RIGHT + 24}" cy="{y - 4}" r="5" fill="{colour}"/>',
            _text(WIDTH - RIGHT + 36, y, name),
        ]
    return _picture(title, HEIGHT, parts)


def bars(title: str, goals: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """`rows`: name, ratio, and the goal for the ratio, drawn as a mark."""
    most = max(max(ratio, goal) for _, ratio, goal in rows) * 1.1
    height = 60 + 34 * len(rows) + 24
    parts = [_text(12, 22, title, weight=600)]
    for number, (name, ratio, goal) in enumerate(rows):
        y, scale = 46 + 34 * number, (WIDTH - 330) / most
        colour = COLOURS[2] if ratio >= goal else COLOURS[1]
        parts.append(_text(210, y + 15, name, anchor="end"))
        parts.append(f'<rect x="220" y="{y}" width="{ratio * scale:.1f}" height="20" rx="3" fill="{colour}"/>')
        parts.append(_line(220 + goal * scale, y - 4, 220 + goal * scale, y + 24, kind="goal"))
        parts.append(_text(max(ratio, goal) * scale + 228, y + 15, f"{ratio:.2g} × (goal {goal:g})"))
    parts.append(_text(220, height - 12, goals))
    return _picture(title, height, parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _share(value: float, decades: tuple[int, int]) -> float:
    return (math.log10(value) - decades[0]) / (decades[1] - decades[0])


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: int = 400) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _picture(title: str, height: int, parts: Sequence[str]) -> str:
    size, label = f"0 0 {WIDTH} {height}", html.escape(title)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{label}">'
    panel = f'<rect class="panel" width="{WIDTH}" height="{height}" rx="8"/>'
    return "\n".join((head, STYLE, panel, *parts, "</svg>", ""))
