"""A node on a disk of 400 MB, filled below the reserve: it says so, refuses what is new, and lets its owner make room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.node_process import NodeProcess
from tests.waiting import PATIENCE, wait_until

MB = 2**20
MAKE_ROOM = "delete something, such as an app with its data"


class SmallDisk(NodeProcess):
    """A node whose data folder is a file system in memory, which nothing else sees: its sockets are in /tmp, as its path is long."""

    def __init__(self, folder: Path) -> None:
        disk = folder / ("small-disk-" * 8)
        disk.mkdir()
        super().__init__(disk / "node")
        self.log = folder / "node.log"
        self.before = (
            "bwrap", "--dev-bind", "/", "/", "--die-with-parent", "--size", str(400 * MB), "--tmpfs", str(disk),
        )  # fmt: skip

    @property
    def disk(self) -> Path:
        """The file system, as its processes see it."""
        return Path(f"/proc/{self.children()[0]}/root{self.data.parent}")

    def leave_free(self, size: int) -> None:
        file = self.disk / "another program's"
        with file.open("ab") as other:
            os.posix_fallocate(other.fileno(), 0, file.stat().st_size + shutil.disk_usage(self.disk).free - size)

    def free(self) -> None:
        (self.disk / "another program's").unlink()

    def stop(self) -> None:
        psutil.Process(self.children()[0]).terminate()  # bwrap itself passes no signal on
        self.process.wait(PATIENCE)
        self._close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path_factory.mktemp("n")) as node:
        yield node


def problem(node: SmallDisk) -> str:
    return node.status()["problem"]


def test_on_a_full_small_disk_the_owner_can_make_room(node: SmallDisk) -> None:
    node.install("random-puppy")
    node.leave_free(120 * MB)
    wait_until(lambda: problem(node), what="the problem in the status")
    assert MAKE_ROOM in problem(node)
    node.cli("app", "pause", "random-puppy")
    node.cli("app", "remove", "random-puppy", "--forget", "--yes")
    refused = node.cli("app", "install", "random-puppy", "--yes", check=False)
    assert refused.returncode and MAKE_ROOM in refused.stderr
    node.free()
    wait_until(lambda: not problem(node), what="the end of the problem")
    node.install("random-puppy")
