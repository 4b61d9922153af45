"""One node per folder: a lock that the kernel releases when the node dies, and the end of a server that outlived its
node."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from eventstore.server.ended import wait_ended
from pcloud.errors import Unavailable

__all__ = ["end_orphan", "free_port", "hold_folder", "port_is_free"]


@contextmanager
def hold_folder(folder: Path) -> Generator[None]:
    """Make the folder (0700) and lock it; raises `Unavailable` if another node holds it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable(f"another node is running on {folder}: stop it first, or use another folder") from error
        yield
    finally:
        os.close(descriptor)


async def end_orphan(pid_file: Path, config: Path, patience: float = 10.0) -> None:
    """End the server that a killed node left behind, if any. Call only while holding the folder: then no running node
    owns that server."""
    process = _server_of(pid_file, config)
    if process is None:
        return
    # The kernel signals it when its node dies, so it may end at any moment.
    with suppress(psutil.Error):
        process.terminate()
    alive = await asyncio.to_thread(wait_ended, [process], patience)
    for survivor in alive:
        with suppress(psutil.Error):
            survivor.kill()
    await asyncio.to_thread(wait_ended, alive, patience)


def _server_of(pid_file: Path, config: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid_file.read_text()))
        # Another program may have this number meanwhile: only a server with this very configuration is ours.
        return process if str(config) in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def port_is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
