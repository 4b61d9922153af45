"""The archive's manifest and page headers agree with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pcloud.manifest_file import load_manifest

ROOT = Path(__file__).parents[1]
# The action behind each method of `app.objects`.
ACTIONS = {"open": "get-object", "read": "get-object", "file": "get-object", "write": "put-object"}


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
    source = "".join(path.read_text() for path in (ROOT / "photos").glob("*.py"))
    used = {ACTIONS[name] for name in re.findall(r"objects\.(open|read|file|write)\(", source)}
    asked = {use.call for use in load_manifest((ROOT / "app.yaml").read_text()).uses}
    assert used == {"get-object", "put-object"} and {f"role:object-storage/{action}" for action in used} <= asked
