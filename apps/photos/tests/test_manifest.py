"""The archive's manifest and page headers agree with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pcloud.manifest import Manifest
from pcloud.manifest_file import load_manifest

ROOT = Path(__file__).parents[1]


def manifest() -> Manifest:
    return load_manifest((ROOT / "app.yaml").read_text())


def test_the_page_may_load_only_from_its_own_origin() -> None:
    source = ast.parse((ROOT / "photos" / "__main__.py").read_text())
    policy = next(
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "POLICY"
    )
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


def test_every_action_called_is_asked_for() -> None:
    called = set(re.findall(r'"(role:[\w/-]+)"', (ROOT / "photos" / "bytes.py").read_text()))
    assert called <= {use.call for use in manifest().uses}
