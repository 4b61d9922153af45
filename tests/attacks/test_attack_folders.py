"""Attacks by the shape of a data folder: nested deeper than a path or a recursion can hold, and closed to its owner."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pcloud.errors import PCloudError
from tests.attacks.conftest import Cloud
from tests.integration.sandbox.test_ordinary_user import ROOT, as_user, folder
from tests.node_process import wait_until

__all__ = ["folder"]
NESTED = 3_000
pytestmark = pytest.mark.usefixtures("others_are_served")


def dig(levels: int, letters: int, bytes_at_the_end: int) -> None:
    """Folder in folder, each entered by its name alone: the whole path may be longer than PATH_MAX."""
    import os

    os.makedirs("/data/deep", exist_ok=True)
    os.chdir("/data/deep")
    for _ in range(levels):
        os.mkdir("n" * letters)
        os.chdir("n" * letters)
    with open("end", "wb", buffering=0) as file:
        for _ in range(bytes_at_the_end // 2**20):
            file.write(b"x" * 2**20)
        os.fsync(file.fileno())


def read_end(levels: int, letters: int) -> int:
    import os

    os.chdir("/data/deep")
    for _ in range(levels):
        os.chdir("n" * letters)
    return os.path.getsize("end")


def state(cloud: Cloud, app: str) -> dict[str, Any]:
    return cloud._with_client(lambda client: client.ask("GET", f"/apps/{app}"))


def remove(cloud: Cloud, app: str) -> None:
    async def work(client: Any) -> None:
        async for _ in client.lines("DELETE", f"/apps/{app}?forget=true"):
            pass

    cloud._with_client(work)


def test_attack_names_longer_than_any_path_hide_nothing_from_the_quota(cloud: Cloud) -> None:
    cloud.install_archive(cloud.installed("deep"))
    with suppress(PCloudError, AssertionError):  # it is stopped while it writes, or at its end
        cloud.attack(dig, 20, 250, 80 * 2**20, app="deep")
    wait_until(lambda: state(cloud, "deep")["state"] == "PAUSED", what="the pause")
    assert "quota" in state(cloud, "deep")["error"]
    assert cloud.audited(app="deep", kind="limit", target="disk")["actor"] == "app:deep"
    remove(cloud, "deep")
    assert not (cloud.data / "apps" / "deep").exists()


def test_attack_nested_folders_prevent_neither_upgrade_nor_rollback_nor_forgetting(cloud: Cloud) -> None:
    cloud.install_archive(cloud.installed("nested"))
    cloud.attack(dig, NESTED, 1, 2**20, app="nested")
    cloud.install_archive(cloud.installed("nested", **{"version: 1.0.0": "version: 1.1.0"}))
    assert cloud.attack(read_end, NESTED, 1, app="nested") == 2**20
    cloud.cli("app", "rollback", "nested", "--yes")
    assert state(cloud, "nested")["version"] == "1.0.0"
    assert cloud.attack(read_end, NESTED, 1, app="nested") == 2**20
    remove(cloud, "nested")
    assert not (cloud.data / "apps" / "nested").exists()


def test_attack_closed_folders_hide_nothing_from_an_ordinary_user(folder: Path) -> None:
    """As root, core sees everything; as an ordinary user it is the app's own user, which may be denied access."""
    script = ["-m", "tests.attacks.closed_folders", str(folder)]
    command = as_user(folder.parent, script) if os.getuid() == 0 else [sys.executable, *script]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
    found = json.loads(done.stdout)
    assert found["uid"] != 0
    assert found["over"] and "quota" in found["over"][0]
    assert found["copied"] and found["left"] == []
