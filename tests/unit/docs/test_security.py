"""The promises of the page on security name tests, and those tests exist."""

from __future__ import annotations

import re

from tests.unit.docs.pages import ROOT

SECURITY = ROOT / "docs" / "explanation" / "security.md"


def test_every_test_that_the_security_page_names_exists() -> None:
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "apps").glob("*/tests/test_*.py")]
    text = "".join(path.read_text() for path in files)
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", SECURITY.read_text()))
    assert len(named) > 50
    assert sorted(name for name in named if f"def {name}(" not in text) == []


def test_every_file_of_tests_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`((?:apps/[a-z-]+/)?tests/[a-z0-9_/]+\.py)`", SECURITY.read_text())
    assert named and [name for name in named if not (ROOT / name).exists()] == []
