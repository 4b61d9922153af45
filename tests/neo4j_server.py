"""A Neo4j server of the tests' own: a real one, on a free port of this machine, that may be killed and started again."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from infra.neo4j_for_tests import LIBRARY, SHORT_LIVED, server_command
from tests.running import leave_out

__all__ = ["Neo4jServer"]


class Neo4jServer:
    """`start` returns when it answers; `kill` is a SIGKILL; it keeps port, password and data over both. `options`: the JVM's."""

    def __init__(self, folder: Path, options: Sequence[str] = SHORT_LIVED) -> None:
        self._options = list(options)
        self.folder, self.port, self.password = folder, 0, secrets.token_urlsafe(16)
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"bolt://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not (LIBRARY / "launcher.jar").exists():
            raise RuntimeError(
                "the Neo4j of the tests is not there: run `python infra/set_up_tests.py`, or `just test`"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        command = server_command(self.folder / "data", self.port, options=self._options)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "NEO4J_PASSWORD": self.password},
            )  # fmt: skip
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("bolt "):
                self.port = int(line.split()[1])
                return
        raise RuntimeError(f"Neo4j did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def halt(self) -> None:
        """It stays, and does not answer, until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._end(signal.SIGKILL)  # it has nothing that anybody wants to keep

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            leave_out(process.pid)
            process.send_signal(number)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
