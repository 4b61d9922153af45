"""A node of the installed wheel and its upgrade."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installed import Home, InstalledNode


@pytest.mark.timeout(300)
def test_a_newer_wheel_keeps_the_data_and_offers_its_apps(home: Home, tmp_path: Path) -> None:
    node = InstalledNode(home, tmp_path / "node")
    with node:
        node.cli("app", "install", "random-puppy", "--yes")
        assert [app["author"] for app in node.json("app", "list", "--json")] == ["comes with PCloud"]
    change(home.source / "pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"')
    change(home.source / "apps" / "random-puppy" / "app.yaml", "version: 1.0.0", "version: 1.0.1")
    home.follow("Upgrade, and go back")
    assert home.run("pcloud", "--version").stdout.strip() == "pcloud 0.1.1"
    with node:
        assert versions(node) == {"random-puppy": ("1.0.0", "RUNNING")}
        node.cli("app", "upgrade", "random-puppy", "--yes")
        assert versions(node) == {"random-puppy": ("1.0.1", "RUNNING")}
        unknown = node.cli("app", "install", "kennel", "--yes", check=False)
        assert unknown.returncode == 3 and "no app 'kennel' comes with PCloud" in unknown.stderr


def versions(node: InstalledNode) -> dict[str, tuple[str, str]]:
    return {app["name"]: (app["version"], app["state"]) for app in node.json("app", "list", "--json")}


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, after))
