"""Backups of a node without apps, made once, for the tests that damage copies of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forked import run_command
from tests.node_process import NodeProcess

PASSPHRASE = "correct horse battery staple"
VARIABLE = "PCLOUD_BACKUP_PASSPHRASE"


def pcloud(
    data: Path, *arguments: object, passphrase: str = PASSPHRASE, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `pcloud` with a node's folder. `path`: what comes first in PATH."""
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(data), VARIABLE: passphrase}
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return run_command(tuple(map(str, arguments)), environment)


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of an error with this exit code."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr, result.stderr
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    return said


@dataclass(frozen=True, slots=True)
class BackedUp:
    """`place`: the backups of the running `node`, with `events` in its log. Tests change copies of `place` only."""

    node: NodeProcess
    place: Path
    events: int


@pytest.fixture(scope="package")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackedUp]:
    folder = tmp_path_factory.mktemp("backed-up")
    with NodeProcess(folder / "node") as node:
        for number in range(5):
            node.json("device", "pair", "--name", f"phone {number}", "--metrics", "--json")
        done = pcloud(node.data, "backup", folder / "backups", "--json")
        assert done.returncode == 0, done.stderr
        yield BackedUp(node, folder / "backups", node.status()["events"])
