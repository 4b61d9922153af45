"""Starting a node where it can't run: one clear sentence, an exit code other than 0, and nothing damaged."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from tests.node_process import PCLOUD, ROOT, NodeProcess
from tests.waiting import PATIENCE


def up(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PCLOUD), "up", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )


def said(result: subprocess.CompletedProcess[str]) -> str:
    return " ".join(line for line in result.stderr.splitlines() if not line[:4].isdigit())


def test_a_second_node_on_the_same_folder_is_refused(node: NodeProcess) -> None:
    second = up("--data", str(node.data), "--listen", "127.0.0.1:0")
    assert second.returncode == 2
    assert "another node runs on the data folder" in said(second)
    assert node.status()["events"] >= 1


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = up("--data", str(tmp_path / "node"), "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 6
    assert "can't be listened on" in said(result) and "--listen" in said(result)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = up("--data", str(tmp_path / "file"), "--listen", "127.0.0.1:0")
    assert result.returncode == 2
    assert "can't be used" in said(result)


def test_the_owners_credential_is_shown_once_and_works_after_a_restart(node: NodeProcess) -> None:
    token = node.token
    assert token.startswith("owner_")
    node.stop()
    node.token = ""
    node.start()
    assert node.token == ""
    import urllib.request

    request = urllib.request.Request(
        f"{node.address}/graphql", data=b'{"query": "{ __typename }"}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )  # fmt: skip
    assert urllib.request.urlopen(request, timeout=10).status == 200


def test_a_command_without_a_node_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(tmp_path / "empty")}
    result = subprocess.run([str(PCLOUD), "status"], capture_output=True, text=True, env=environment, timeout=PATIENCE)
    assert result.returncode == 6
    assert "no node runs on the data folder" in result.stderr.replace("\n", " ")
