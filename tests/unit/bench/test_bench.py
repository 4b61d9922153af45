"""What the bench says: the one object of `--json`, charts that are SVG, and the same household each time."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.__main__ import as_object
from bench.chart import bars, lines
from bench.figures import Figure
from bench.household import SMALL
from bench.peers.comparison import Comparison


def test_json_ends_with_ratios_rates_and_trigger_times() -> None:
    rate = Figure("get by id, PCloud", "requests/cpu-s", (3.0, 1.0, 2.0))
    compared = Comparison([rate], {"get": 2.5}, {"p50": 1.0, "p99": 2.0})
    shown = as_object([rate, Figure("idle", "MB", (5.0,), bound=6)], compared)
    assert list(shown)[-3:] == ["ratios", "rates", "trigger_ms"]
    assert shown["rates"] == {"get by id, PCloud": 2.0}
    assert shown["idle"]["holds"] is True


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
