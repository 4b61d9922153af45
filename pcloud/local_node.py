"""A temporary node: the installed `pcloud up` as a child process on a temporary folder.

For tests and for trying out an app. It does not import the node's code; within the node's folder it knows only the
administration socket.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["LocalNode", "local_node"]

START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOG_LINES = 20
# The node keeps its sockets in its own folder if the path is short enough for a socket's address.
LONGEST_FOLDER = 25


@dataclass(frozen=True, slots=True)
class LocalNode:
    """`data`: the node's folder. `address`: its web server. `link`: signs a browser in, once. `log`: the node's log
    file."""

    data: Path
    address: str
    link: str
    log: Path

    @property
    def admin_socket(self) -> Path:
        return self.data / "run" / "admin.sock"


@contextmanager
def local_node(*options: str, program: str | None = None) -> Generator[LocalNode]:
    """Run a node on a folder of its own; end and remove it afterwards. `options`: for `pcloud up`. `program`: which
    pcloud; by default the one beside this Python, or on PATH. Raises `Unavailable` if it does not start."""
    with _folder() as folder:
        data, log = folder / "node", folder / "node.log"
        command = [program or _program(), "up", "--data", str(data), "--listen", "127.0.0.1:0", *options]
        with log.open("wb") as file:
            # A process group of its own: Ctrl-C then reaches only the program that uses the node, which ends it.
            node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True)
        try:
            yield LocalNode(data, *_started(node, log), log)
        finally:
            _end(node)


def _program() -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if found := shutil.which("pcloud", path=path):
        return found
    raise Unavailable("the program `pcloud` was not found: install PCloud, or put it on the PATH")


@contextmanager
def _folder() -> Generator[Path]:
    """A temporary folder whose path is short enough for sockets."""
    base = None if len(tempfile.gettempdir()) < LONGEST_FOLDER else "/tmp"  # noqa: S108 - a private one within
    with tempfile.TemporaryDirectory(prefix="pcloud-test-", dir=base, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _started(node: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    """The address and the link that the node prints. A timer ends a node that prints nothing, and so ends the
    reading."""
    assert node.stdout is not None
    watch = threading.Timer(START_SECONDS, node.kill)
    watch.start()
    address = ""
    try:
        for line in node.stdout:
            if found := re.search(r"up at (\S+)", line):
                address = found[1]
            if found := re.search(r"ten minutes: (\S+)", line):
                return address, found[1]
    finally:
        watch.cancel()
    node.wait()
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise Unavailable(f"`pcloud up` did not start; the end of its log:\n{last}")


def _end(node: subprocess.Popen[str]) -> None:
    if node.poll() is None:
        node.send_signal(signal.SIGTERM)
    try:
        node.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()
    if node.stdout is not None:
        node.stdout.close()
