"""A class name means one thing: it is not given twice, but where both mean the same."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("pcloud", "eventstore", "projections", "core")

# A protocol is called as the class that fulfils it, and both graph stores have the same parts.
SAME = {
    "Api", "Archives", "CallAnswer", "Calls", "Commands", "GraphQuota", "Graphs", "OpenRuns", "Processor", "Visits",
    "AggregateColumns", "Layout", "Meter",
}  # fmt: skip
# Words of users, who meet `App` in the SDK and in the cloud, and `run` in app.yaml and as what the event processor does.
USERS = {"App", "Run"}


def test_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).glob("**/*.py")):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(ROOT)))
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert len(found) > 300
    assert {name: places for name, places in twice.items() if name not in SAME | USERS} == {}
    assert twice.keys() >= SAME | USERS, "a name that is given only once needs no exception"
