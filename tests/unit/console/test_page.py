"""The console's page: its own unit tests and types, and that neither its lock nor its files name another host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "core" / "front" / "console" / "web"


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the locked Node's npm if it is installed, else the system's."""
    environment = {**os.environ, "LC_ALL": "en_US.UTF-8", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["npm", *arguments], cwd=WEB, env=environment, capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    if not (WEB / "node_modules").is_dir():
        result = npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("script", ["test", "check"])
def test_the_pages_own_checks_hold(script: str) -> None:
    result = npm("run", "--silent", script)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_lock_leaves_open_where_packages_come_from() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_page_names_no_other_origin() -> None:
    sources = [*(WEB / "src").rglob("*"), WEB / "index.html", WEB / "public" / "icon.svg"]
    named = {
        path.name for path in sources if path.is_file() and re.search(r"https?://(?!www\.w3\.org)", path.read_text())
    }
    assert named == set()


def test_page_is_small_for_a_slow_network() -> None:
    """What the first visit of a phone loads."""
    sent = [path for path in (WEB / "dist").rglob("*.gz") if path.is_file()]
    assert {path.suffixes[-2] for path in sent} >= {".js", ".css"}
    assert sum(path.stat().st_size for path in sent) <= 150_000
