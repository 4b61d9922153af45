"""Installing an app also installs the bundled apps that it needs, and those that they need."""

from __future__ import annotations

from pathlib import Path

from tests.node_process import ROOT, NodeProcess


def test_install_on_an_empty_node_includes_needed_apps(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        said = node.cli("app", "install", str(ROOT / "apps" / "face-detector"), "--yes").stderr
        running = [app["name"] for app in node.json("app", "list", "--json") if app["state"] == "RUNNING"]
    assert said.index("image-importer needs object-store") < said.index("object-store is running")
    assert said.index("object-store is running") < said.index("image-importer is running")
    assert sorted(running) == ["face-detector", "image-importer", "object-store"]
