"""A PostgreSQL server on a temporary folder and a free loopback port, with its own default durability: every commit is
synced.

It comes from Debian (`apt-get install postgresql`). It refuses to run as root, so root starts it as the package's user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Postgres", "binaries", "free_port", "open_postgres"]

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Postgres:
    port: int
    folder: Path
    pid: int
    user: str = "bench"

    @property
    def url(self) -> str:
        return f"postgres://{self.user}@127.0.0.1:{self.port}/postgres"

    def psql(self, *arguments: str, text: str | None = None) -> str:
        command = [str(binaries() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-At", self.url, *arguments]
        return subprocess.run(command, input=text, check=True, text=True, stdout=subprocess.PIPE).stdout


def binaries() -> Path:
    """The newest installed version's folder of programs; raises `FileNotFoundError`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if path := shutil.which("initdb"):
        return Path(path).resolve().parent
    raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def open_postgres() -> Iterator[Postgres]:
    """A new server, started, and removed afterwards with all its data."""
    user = next(name for name in UNPRIVILEGED if _exists(name)) if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pcloud-bench-pg-"))
    if user:
        shutil.chown(folder, user)
    port = free_port()
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "shared_buffers=256MB",
                "synchronous_commit=on", "fsync=on", "max_connections=100"]  # fmt: skip
    initdb = [binaries() / "initdb", "-D", folder / "data", "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(initdb, user=user, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    command = [binaries() / "postgres", "-D", folder / "data", *(part for one in settings for part in ("-c", one))]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        process = subprocess.Popen(command, user=user, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(process, port)
        yield Postgres(port, folder, process.pid)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
        Path(log.name).unlink()


def _exists(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    ready = [binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    while subprocess.run(ready, check=False).returncode:
        if process.poll() is not None:
            raise RuntimeError("PostgreSQL did not start")
