"""Writes what was measured into `docs/explanation/performance.md`, between its marks, and the charts beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.chart import bars, lines
from bench.figures import Figure

__all__ = ["GOALS", "write_growth", "write_table"]

DOCS = Path(__file__).parent.parent / "docs" / "explanation"
IMAGES = DOCS / "images"
GOALS = {"get": 2.0, "nested": 5.0, "create": 1.5, "append": 3.0, "rebuild": 6.0}
SAID = {
    "get": "get by id", "nested": "50 × 3 nested", "create": "durable create", "append": "append events", "rebuild": "project and rebuild",
}  # fmt: skip
GROWING = ("get by id", "filtered page of 50", "50 images with segments with person", "search")


def write_table(figures: Sequence[Figure], ratios: Mapping[str, float]) -> None:
    _fill("table", table(figures))
    if ratios:
        rows = [(SAID[kind], ratio, GOALS[kind]) for kind, ratio in ratios.items()]
        _draw("ratios.svg", bars("PCloud against its peers", "times as much; the mark is the goal", rows))


def write_growth(figures: Sequence[Figure]) -> None:
    _fill("growth", table(figures))
    series: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        what, size = figure.name.rsplit(", ", 1)
        series.setdefault(what, []).append((float(re.sub(r"\D", "", size)), figure.median))
    times = {name: series[name] for name in GROWING}
    _draw("growth.svg", lines("A request, as the graph grows", "entities", "ms", times))
    sizes = {name: values for name, values in series.items() if name not in GROWING and name != "rebuild of the graph"}
    _draw("growth-memory.svg", lines("Memory and files, as the graph grows", "entities", "MB", sizes))


def table(figures: Sequence[Figure]) -> str:
    load = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    said = f"Measured {datetime.now(UTC):%Y-%m-%d} on {psutil.cpu_count()} cores with a load of {load:.1f} for each."
    lines_ = [said, "", "| what | median | spread | goal |", "|---|---|---|---|"]
    lines_ += [f"| {' | '.join(figure.row())} |" for figure in figures]
    return "\n".join(lines_)


def _fill(mark: str, text: str) -> None:
    page = DOCS / "performance.md"
    begin, end = f"<!-- {mark}: written by just bench -->", f"<!-- end of {mark} -->"
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def _draw(name: str, picture: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / name).write_text(picture)
