"""The output of the bench: one object for `--json`, charts in SVG, and the same household each time."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from bench.__main__ import as_object
from bench.chart import bars, lines
from bench.figures import Figure
from bench.growth import REBUILDS, REQUESTS
from bench.household import SMALL
from bench.peers.comparison import Comparison
from bench.report import GOALS, write_growth, write_table


def test_json_is_one_object_of_ratios_rates_and_trigger_times() -> None:
    found = [
        Figure("get by id, PCloud", "requests/cpu-s", (3.0, 1.0, 2.0)),
        Figure("rebuild of the graph on Neo4j", "events/s", (), 10_000, least=True),
    ]
    compared = Comparison(found, ratios={"get": 2.5}, trigger_ms={"p50": 1.0, "p99": 2.0})
    shown = as_object([], compared)
    assert list(shown) == ["ratios", "rates", "trigger_ms"]
    assert shown["rates"] == {"get": 2.0, "rebuild_neo4j": None}
    assert as_object([Figure("idle", "MB", (5.0,), bound=6)], compared)["figures"]["idle"]["holds"] is True


def test_missing_measurement_is_reported() -> None:
    assert Figure("rebuild", "events/s", (), 10_000, least=True).row() == ("rebuild", "not measured", "", "≥ 10,000")
    assert Figure("trigger", "ms", (12.34, 12.36), 10).row() == ("trigger", "12.3 ms", "12.3 – 12.4", "≤ 10 ✗")


def test_a_run_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = "before\n<!-- {0}: written by just bench -->\nold\n<!-- end of {0} -->\nafter\n"
    (tmp_path / "performance.md").write_text(page.format("table") + page.format("growth"))
    for number in (1, 2):
        write_table([Figure("get", "ms", (float(number),))], dict.fromkeys(GOALS, 2.0), f"run {number}", tmp_path)
        grown = [
            Figure(f"{what}, {size:,} entities", "ms", (float(number),))
            for size in (10, 1_000)
            for what in (*REQUESTS, *REBUILDS, "memory of core")
        ]
        write_growth(grown, f"growth {number}", tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "old" not in text and "run 1" not in text and "growth 1" not in text
    assert "| get | 2 ms |  |  |" in text and "growth 2" in text and text.count("before") == text.count("after") == 2
    assert sorted(one.name for one in (tmp_path / "images").iterdir()) == [
        "growth-memory.svg",
        "growth-rebuild.svg",
        "growth.svg",
        "ratios.svg",
    ]


def test_charts_are_svg() -> None:
    growth = lines(
        "a < b", "entities", "ms", {"get": [(10.0, 0.1), (1000.0, 0.2)], "page": [(10.0, 1.0), (1000.0, 1.0)]}
    )
    ratios = bars("ratios", "the mark is the goal", [("get", 2.5, 2.0), ("create", 0.5, 1.5)])
    assert ElementTree.fromstring(growth).attrib["aria-label"] == "a < b"
    assert ElementTree.fromstring(ratios).tag.endswith("svg")


def test_a_household_is_the_same_each_time() -> None:
    assert list(SMALL.image_rows())[:50] == list(SMALL.image_rows())[:50]
    assert sum(1 for _ in SMALL.segment_rows()) == SMALL.segments
