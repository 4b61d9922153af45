"""`kill -9` at any point of a backup: what was cut never looks whole, and the next run completes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.backup.conftest import PASSPHRASE, VARIABLE, BackedUp, pcloud, refused
from tests.integration.backup.killing import kill_at, restic_that_waits
from tests.node_process import PCLOUD, ROOT, NodeProcess
from tests.waiting import wait_until


@pytest.mark.parametrize(
    ("command", "after"), [("init", True), ("backup", False), ("backup", True), ("tag", False)],
    ids=["after-init", "before-backup", "after-backup", "before-mark"],
)  # fmt: skip
def test_backup_that_was_cut_is_not_used(backed_up: BackedUp, tmp_path: Path, command: str, after: bool) -> None:
    place = tmp_path / "backups"
    path, here = restic_that_waits(tmp_path / "bin", command, after)
    kill_at(["backup", place], backed_up.node.data, path, here.exists)
    assert "holds no complete backup" in refused(pcloud(tmp_path / "target", "restore", place), 3)
    assert "holds no complete backup" in refused(pcloud(tmp_path / "none", "backup", "--verify", place), 3)
    # The node has noticed, and the next run completes what is there.
    wait_until(lambda: not (backed_up.node.data / "backup").exists(), what="the copy to be removed")
    assert pcloud(backed_up.node.data, "backup", place).returncode == 0
    assert pcloud(tmp_path / "none", "backup", "--verify", place).returncode == 0


def test_node_killed_during_its_own_copy_starts_again(tmp_path: Path) -> None:
    path, here = restic_that_waits(tmp_path / "bin", "init", True)
    with NodeProcess(tmp_path / "node") as node:
        environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(node.data), VARIABLE: PASSPHRASE, "PATH": path}
        backing = subprocess.Popen([str(PCLOUD), "backup", str(tmp_path / "backups")], env=environment, cwd=ROOT)
        wait_until(here.exists, what="the copy")
        assert (node.data / "backup" / "copy").exists()
        node.kill()
        backing.kill()
        backing.wait()
        node.start()
        assert not (node.data / "backup").exists()
        assert pcloud(node.data, "backup", tmp_path / "backups").returncode == 0
