"""A node that starts fast, for tests that kill it often: forked from a process that has imported all modules. Its apps count as
started when they have stayed up for a moment, and a failed one is retried soon. A kill has the same effect, only sooner.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TextIO

import core.node.bootstrap
from core.apps import AppSettings, Supervision
from core.cli import main
from tests.forked import FORKS
from tests.node_process import ROOT, NodeProcess

__all__ = ["QuickNode"]

QUICK = Supervision(settle=0.1, back_off=0.05)


class QuickNode(NodeProcess):
    def launch(self, arguments: list[str]) -> Forked:
        said, theirs = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=run, args=(arguments, theirs, self.log), daemon=True)
        process.start()
        theirs.close()
        return Forked(process, os.fdopen(os.dup(said.fileno())))


class Forked:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, process: ForkServerProcess, stdout: TextIO) -> None:
        assert process.pid
        self.pid, self.stdout = process.pid, stdout
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the node", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def run(arguments: list[str], said: Connection, log: Path) -> None:
    """Run `pcloud` in a process that was just forked."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 2)
    os.dup2(said.fileno(), 1)
    said.close()
    os.chdir(ROOT)
    core.node.bootstrap.AppSettings = partial(AppSettings, supervision=QUICK)  # type: ignore[misc]
    sys.argv = ["pcloud", *arguments]
    main()
