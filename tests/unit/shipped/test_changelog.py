"""What an update says about itself comes from the changelog."""

from __future__ import annotations

from pathlib import Path

from core.shipped.changelog import changes_since

TEXT = """# Changelog

- not an entry of a version: it stands above them

## [Unreleased]

### Added

- Uploads are kept; they
  were lost. More about it.
- **Breaking for apps:** `a.b` is gone

## [0.2.0] - 2026-11-30

- The second. Really.

## [0.1.0]

- The first.
"""


def test_changes_are_the_entries_above_the_version_before(tmp_path: Path) -> None:
    file = tmp_path / "CHANGELOG.md"
    file.write_text(TEXT.replace("- not an entry", "not an entry"))
    newest = ["Uploads are kept; they were lost.", "Breaking for apps: `a.b` is gone."]
    assert changes_since("0.2.0", file) == newest
    assert changes_since("0.1.0", file) == [*newest, "The second."]
    assert changes_since("0.0.9", file) == [*newest, "The second.", "The first."]
    assert changes_since("0.1.0", tmp_path / "missing") == []


def test_changelog_comes_with_pcloud() -> None:
    assert len(changes_since("0.1.0")) > 10
