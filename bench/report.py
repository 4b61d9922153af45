"""Writes the results into `docs/explanation/performance.md`, between its marks, and the charts beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.chart import bars, lines
from bench.figures import Figure
from bench.growth import REBUILDS, REQUESTS

__all__ = ["GOALS", "conditions", "write_growth", "write_table"]

DOCS = Path(__file__).parent.parent / "docs" / "explanation"
GOALS = {"get": 2.0, "nested": 5.0, "create": 1.5, "append": 3.0, "rebuild": 6.0}
SAID = {
    "get": "get by id", "nested": "50 × 3 nested", "create": "durable create", "append": "append events", "rebuild": "project and rebuild",
}  # fmt: skip
BUSY = 0.75  # of a core, by others; the setup of a run alone leaves half of that behind


def conditions() -> str:
    """The state of this machine now. Call it before measuring, since measuring is work too."""
    cores, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total / 2**30
    load = psutil.getloadavg()[0] / cores
    said = f"Measured {datetime.now(UTC):%Y-%m-%d} on {cores} cores with {memory:.0f} GB, where each had a load of {load:.1f} before."
    return f"{said} Other work shared the machine: take the ratios, not the rates." if load > BUSY else said


def write_table(figures: Sequence[Figure], ratios: Mapping[str, float], said: str, docs: Path = DOCS) -> None:
    _fill(docs, "table", f"{said}\n\n{table(figures)}")
    rows = [(SAID[kind], ratios[kind], GOALS[kind]) for kind in GOALS]
    _draw(docs, "ratios.svg", bars("PCloud against its peers", "times as much; the mark is the goal", rows))


def write_growth(figures: Sequence[Figure], said: str, docs: Path = DOCS) -> None:
    _fill(docs, "growth", f"{said}\n\n{table(figures)}")
    series: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        what, size = figure.name.rsplit(", ", 1)
        series.setdefault(what, []).append((float(re.sub(r"\D", "", size)), figure.median))
    others = [name for name in series if name not in (*REQUESTS, *REBUILDS)]
    for name, title, unit, shown in (
        ("growth.svg", "A request, as the graph grows", "ms", REQUESTS),
        ("growth-rebuild.svg", "A rebuild, as the graph grows", "events/s", REBUILDS),
        ("growth-memory.svg", "Memory and files, as the graph grows", "MB", others),
    ):
        _draw(docs, name, lines(title, "entities", unit, {one: series[one] for one in shown}))


def table(figures: Sequence[Figure]) -> str:
    rows = [f"| {' | '.join(figure.row())} |" for figure in figures]
    return "\n".join(["| what | median | spread | goal |", "|---|---|---|---|", *rows])


def _fill(docs: Path, mark: str, text: str) -> None:
    page = docs / "performance.md"
    begin, end = f"<!-- {mark}: written by just bench -->", f"<!-- end of {mark} -->"
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise RuntimeError(f"{page} has no place for the {mark}: put {begin} and {end} into it")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _draw(docs: Path, name: str, picture: str) -> None:
    (docs / "images").mkdir(exist_ok=True)
    (docs / "images" / name).write_text(picture)
