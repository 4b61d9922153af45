"""An update of PCloud with real programs on one data folder: killed, failing, refused, gone back from, and done.

The newer program is this one with another version and one fault, patched before it starts. The tests run in this order.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.node.data_version import PROGRAM
from tests.node_process import ROOT, NodeProcess
from tests.waiting import PATIENCE, wait_until

NEWER = "99.0.0"
PATCHED = f"""
import os, signal
from core.node import bootstrap, data_version
data_version.PROGRAM = data_version.OLDEST = {NEWER!r}
FAULT
from core.cli import main
main()
"""
DIES = """
def dying(*given):
    os.kill(os.getpid(), signal.SIGKILL)
data_version.remove_tree = dying  # the copy is whole, its name is not
def copied(source, target, copy=data_version.copy_tree):
    copy(source, target)
    data_version.remove_tree = dying
data_version.remove_tree, data_version.copy_tree = lambda place: None, copied
"""
FAILS = """
async def failing(*given):
    raise bootstrap.Unavailable("this version does not work")
bootstrap.open_platform = failing
"""


class NewerNode(NodeProcess):
    """A node, and commands, of a newer program. `fault`: lines that break it."""

    fault = ""

    def launch(self, arguments: list[str]) -> Any:
        with self.log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-c", PATCHED.replace("FAULT", self.fault), *arguments], stdout=subprocess.PIPE, stderr=log,
                text=True, cwd=ROOT,
            )  # fmt: skip

    def ends(self, fault: str) -> tuple[int, str]:
        """Start it with that fault; return its exit code and what it said."""
        self.fault, begin = fault, len(self.log.read_text())
        process = self.launch(["up", "--data", str(self.data), "--listen", "127.0.0.1:0"])
        with process:
            try:
                code = process.wait(PATIENCE)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise AssertionError(
                    f"the faulty program still runs; it logged {self.log.read_text()[begin:]}"
                ) from error
        self.fault = ""
        return code, self.log.read_text()[begin:]

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-c", PATCHED.replace("FAULT", ""), *arguments], capture_output=True, text=True, cwd=ROOT,
            env={**os.environ, "PCLOUD_DATA_FOLDER": str(self.data)}, check=False,
        )  # fmt: skip
        assert not check or result.returncode == 0, result.stderr
        return result


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, NewerNode]]:
    """Today's program and a newer one on the same data, which today's has made."""
    data = tmp_path_factory.mktemp("update") / "node"
    mine, newer = NodeProcess(data), NewerNode(data)
    with mine:
        mine.install("random-puppy")
    yield mine, newer
    mine.stop()
    newer.stop()


def state(data: Path) -> dict[str, str]:
    """The hashes of what a start may not change if it is refused."""
    files = [data / "version.json", *(data / "nats" / "jetstream").rglob("*"), *(data / "secrets").rglob("*")]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def test_update_killed_in_its_copy_never_happened(nodes: tuple[NodeProcess, NewerNode]) -> None:
    mine, newer = nodes
    before = state(mine.data)
    assert newer.ends(DIES)[0] == -9
    assert (mine.data / "before-update.part").exists() and state(mine.data) == before
    mine.start()
    assert mine.status()["apps"][0]["name"] == "random-puppy"
    mine.stop()


def test_failed_update_says_the_one_command_that_goes_back(nodes: tuple[NodeProcess, NewerNode]) -> None:
    _, newer = nodes
    for _ in range(2):
        code, said = newer.ends(FAILS)
        assert code != 0 and "this version does not work" in said and "`pcloud go-back`" in said


def test_older_program_refuses_newer_data_unharmed(nodes: tuple[NodeProcess, NewerNode]) -> None:
    mine, _ = nodes
    before = state(mine.data)
    refused = mine.cli("up", "--data", str(mine.data), "--listen", "127.0.0.1:0", check=False)
    assert refused.returncode != 0 and f"written by PCloud {NEWER}, and this is {PROGRAM}" in refused.stderr
    assert f"use PCloud {NEWER} or newer" in refused.stderr
    assert state(mine.data) == before


def test_going_back_returns_the_data_to_the_older_program(nodes: tuple[NodeProcess, NewerNode]) -> None:
    mine, newer = nodes
    newer.cli("go-back", "--yes")
    mine.start()
    assert mine.status()["apps"][0]["name"] == "random-puppy" and "equal" in mine.cli("graph", "verify").stdout
    mine.stop()


def test_finished_update_says_what_changed(nodes: tuple[NodeProcess, NewerNode]) -> None:
    _, newer = nodes
    newer.start()
    expected = f"PCloud was updated from {PROGRAM} to {NEWER}."
    found = wait_until(
        lambda: [one for one in newer.json("notices", "--json") if one["text"] == expected], what="the notice"
    )
    assert found[0]["advice"] and found[0]["severity"] == "info"
    newer.stop()
    begin = len(newer.log.read_text())
    newer.start()
    assert "go-back" not in newer.log.read_text()[begin:], "it was up once"
    assert "equal" in newer.cli("graph", "verify").stdout
