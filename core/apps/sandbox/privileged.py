"""Listening sockets in a sandbox on ports below 1024, which its own first program may not open; see `opener`."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from core.apps.sandbox.command import python
from pcloud.errors import Unavailable

__all__ = ["PRIVILEGED", "open_privileged"]

PRIVILEGED = range(1, 1024)
OPENER = Path(__file__).with_name("opener.py")
OPEN_SECONDS = 20.0


async def open_privileged(pid: int, addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Return listening sockets in the network of process `pid`, in this order; raises `Unavailable`."""
    return await asyncio.to_thread(_open, pid, addresses) if addresses else []


def _open(pid: int, addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [python(), "-I", "-S", str(OPENER), str(pid), str(theirs.fileno()), json.dumps(addresses)]
        try:
            done = subprocess.run(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=OPEN_SECONDS,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"the ports of the app's hosts could not be opened in its sandbox: {error}") from error
        if done.returncode != 0:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise Unavailable(f"the ports of the app's hosts could not be opened in its sandbox: {said}")
        listeners = [socket.socket(fileno=number) for number in socket.recv_fds(ours, 16, len(addresses))[1]]
    for listener in listeners:
        listener.setblocking(False)
    return listeners
