"""`kill -9` at any point of a restore or of the first start after it: nothing is half restored, and the next run completes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.integration.backup.conftest import BackedUp, pcloud, refused
from tests.integration.backup.killing import kill_at, restic_that_waits
from tests.node_process import NodeProcess


def test_restore_that_was_cut_starts_over(backed_up: BackedUp, tmp_path: Path) -> None:
    target = tmp_path / "target"
    path, here = restic_that_waits(tmp_path / "bin", "restore", True)
    points: list[tuple[str, Callable[[], object]]] = [
        (os.environ["PATH"], (target / "restoring").exists),
        (path, here.exists),  # all files are there
        (os.environ["PATH"], (target / "restoring" / "nats" / "nats.pid").exists),  # the log is opened
    ]
    for place, reached in points:
        kill_at(["restore", backed_up.place], target, place, reached)
        assert "a restore into" in refused(pcloud(target, "up", "--listen", "127.0.0.1:0"), 2)
    # Killed while the parts are moved: some are in their places, and it still is not a cloud.
    shutil.copytree(backed_up.node.data / "secrets", target / "secrets")
    assert "was interrupted" in refused(pcloud(target, "up", "--listen", "127.0.0.1:0"), 2)
    done = pcloud(target, "restore", backed_up.place, "--json")
    assert done.returncode == 0, done.stderr
    with NodeProcess(target) as node:
        assert node.status()["epoch"] == json.loads(done.stdout)["epoch"]
        assert {device["state"] for device in node.json("device", "list", "--json")} == {"revoked"}
        assert node.json("graph", "verify", "--json")["equal"]
    assert not any((target / one).exists() for one in ("restored.json", "restoring", "pcloud-restore.json"))


def test_first_start_that_was_cut_revokes_the_devices_at_the_next(backed_up: BackedUp, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert pcloud(target, "restore", backed_up.place).returncode == 0
    (target / "restored.json").replace(tmp_path / "restored.json")
    with NodeProcess(target) as node:  # as if it had died before it was done
        assert {device["state"] for device in node.json("device", "list", "--json")} == {"active"}
    (tmp_path / "restored.json").replace(target / "restored.json")
    with NodeProcess(target) as node:
        assert {device["state"] for device in node.json("device", "list", "--json")} == {"revoked"}
