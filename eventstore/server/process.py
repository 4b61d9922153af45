"""One run of the nats-server program: start, readiness, end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eventstore.server.nats_server_private import last_words
from pcloud.errors import Unavailable

__all__ = ["ServerProcess", "start_process"]

# Becomes the server itself, after asking the kernel to end it with its parent, so that kill -9 of the node leaves no
# server behind. (A preexec_fn could do it too, but it runs Python between fork and exec in a program with threads.)
_LAUNCHER = """
import ctypes, os, signal, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the node is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that accepts connections. `server_id` is new at every start."""

    process: asyncio.subprocess.Process
    server_id: str

    async def stop(self, patience: float) -> None:
        """Send SIGTERM, on which it flushes and closes its files; SIGKILL if that takes longer than `patience`
        seconds."""
        await _end(self.process, patience)


async def start_process(binary: Path, config: Path, *, host: str, port: int, server_name: str,
                        environment: dict[str, str], timeout: float) -> ServerProcess:  # fmt: skip
    """Start it and wait until it accepts connections; raises `Unavailable` with the server's last output otherwise."""
    first_words = config.with_name("nats.start.log")
    with first_words.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(binary), "-c", str(config),
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            # Ctrl-C in a terminal reaches the whole process group: the node drains first, and then ends the server
            # itself.
            start_new_session=True,
        )  # fmt: skip
    try:
        async with asyncio.timeout(timeout):
            return ServerProcess(process, await _ready(process, host, port, server_name))
    except (TimeoutError, _Died) as error:
        await _end(process, 1.0)
        words = _last_words(first_words) or _last_words(config.with_name("nats.log"))
        why = "it ended" if isinstance(error, _Died) else f"it accepted no connection within {timeout:.0f} s"
        raise Unavailable(f"nats-server does not start: {why}; its last words: {words or 'none'}") from error
    except BaseException:
        await _end(process, 1.0)
        raise


class _Died(Exception):
    """The process ended before it was ready."""


async def _ready(process: asyncio.subprocess.Process, host: str, port: int, server_name: str) -> str:
    while process.returncode is None:
        info = await _greeting(host, port)
        if info is not None and info.get("server_name") == server_name:
            return str(info["server_id"])
        # Not wait_for: before Python 3.12 it may swallow a cancellation, and stopping the node would then wait for
        # ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await process.wait()
    raise _Died


async def _greeting(host: str, port: int) -> dict[str, Any] | None:
    """The INFO line with which a nats-server greets every connection (its protocol's first line)."""
    try:
        reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    except OSError:
        return None
    try:
        async with asyncio.timeout(2.0):
            line = await reader.readline()
        return msgspec.json.decode(line.removeprefix(b"INFO "), type=dict[str, Any])
    except (OSError, TimeoutError, ValueError, msgspec.MsgspecError):
        return None
    finally:
        writer.close()


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(sign)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await process.wait()


def _last_words(path: Path) -> str:
    try:
        return last_words(path.read_text(errors="replace").splitlines()[-20:])
    except OSError:
        return ""
