"""Apps are third parties: from PCloud they import only the SDK. import-linter can't see them, since each is a separate project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FORBIDDEN = {"core", "eventstore", "projections", "bench", "infra", "tests"}
APPS = sorted(path.parent for path in ROOT.glob("apps/*/app.yaml"))


def imported(file: Path) -> set[str]:
    """Return the top-level packages that a file imports by an absolute name, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_an_app_imports_nothing_of_pcloud_but_the_sdk(app: Path) -> None:
    files = [path for path in app.rglob("*.py") if not {"tests", "node_modules"} & set(path.relative_to(app).parts)]
    assert files
    assert {str(path.relative_to(ROOT)): names for path in files if (names := imported(path) & FORBIDDEN)} == {}


def test_random_puppy_needs_nothing_of_pcloud() -> None:
    assert not any("pcloud" in imported(path) for path in (ROOT / "apps/random-puppy/random_puppy").rglob("*.py"))
