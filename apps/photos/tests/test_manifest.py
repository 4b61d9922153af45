"""The archive's manifest and page headers agree with the code."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_may_load_only_from_its_own_origin() -> None:
    source = ast.parse((ROOT / "photos" / "__main__.py").read_text())
    policy = next(
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "POLICY"
    )
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
