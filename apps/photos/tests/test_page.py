"""The page: its own unit tests and types, and that its lock names no host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The locked Node's npm if it is installed, else the system's."""
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
