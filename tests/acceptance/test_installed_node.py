"""A node of the installed wheel, its upgrade, and an app written there."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from tests.installed import Home, InstalledNode


def test_a_new_app_is_tested_with_the_sdk_that_came_along(home: Home, tmp_path: Path) -> None:
    made = home.run("pcloud", "app", "new", "ink-blots", "--json", cwd=tmp_path)
    assert "wheels/pcloud_sdk-0.1.0-py3-none-any.whl" in json.loads(made.stdout)["files"]
    tested = home.run("uv", "run", "--quiet", "pytest", "-q", cwd=tmp_path / "ink-blots")
    assert "1 passed" in tested.stdout
    (tmp_path / "ink-blots" / "requirements.lock").unlink()
    home.run("pcloud", "app", "lock", "ink-blots", cwd=tmp_path)
    packed = json.loads(home.run("pcloud", "app", "pack", "ink-blots", "--json", cwd=tmp_path).stdout)
    with tarfile.open(tmp_path / packed["archive"]) as tar:
        names = set(tar.getnames())
    assert names == {"app.py", "app.yaml", "schema.graphql", "pyproject.toml", "requirements.lock"}


def test_a_newer_wheel_keeps_the_data_and_offers_its_apps(home: Home, tmp_path: Path) -> None:
    node = InstalledNode(home, tmp_path / "node")
    with node:
        node.cli("app", "install", "random-puppy", "--yes")
        assert [app["author"] for app in node.json("app", "list", "--json")] == ["comes with PCloud"]
    change(home.source / "pyproject.toml", 'version = "0.2.0"', 'version = "0.2.1"')
    change(home.source / "apps" / "random-puppy" / "app.yaml", "version: 1.0.0", "version: 1.0.1")
    home.follow("Upgrade")
    assert home.run("pcloud", "--version").stdout.strip() == "pcloud 0.2.1"
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
