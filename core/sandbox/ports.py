"""Ports that apps have for each other (`run.ports`): a number on this machine's loopback for each, chosen once and kept.

The same number leads to the app from everywhere where it is open at all: on the host, inside the app's own sandbox, and inside the
sandbox of each app that was granted a call to it. So an address that one of them makes holds for the others.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from core.sandbox.accept import forward
from pcloud.errors import Corrupt, Unavailable

__all__ = ["Connect", "Ports", "connect_host"]

# Below Linux's range of outgoing connections (from 32768), with room for those who use number + 10000 as well.
FREE = range(15_000, 22_768)
TRIES = 200
FILE = "ports.json"
CONNECT_SECONDS = 5.0
LOOPBACK = "127.0.0.1"
Connect = Callable[[int], Awaitable[socket.socket]]


class Ports:
    """Of all apps on this node; `folder` holds a folder for each."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._connects: dict[str, Connect] = {}
        self._listening: dict[str, list[asyncio.Task[None]]] = {}

    def number(self, app: str, name: str) -> int:
        """The app's port of that name; chosen at the first time. Raises `Corrupt`, or `Unavailable` when none is free."""
        file = self._folder / app / FILE
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=dict[str, int]) if file.exists() else {}
        except msgspec.MsgspecError as error:
            raise Corrupt(
                f"the ports of {app} at {file} can't be read: remove the file, new ones are chosen"
            ) from error
        if name not in kept:
            kept[name] = self._choose()
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = file.with_name(f"{FILE}.part")
            part.write_bytes(msgspec.json.encode(kept))
            part.replace(file)
        return kept[name]

    def _choose(self) -> int:
        taken = {number for file in self._folder.glob(f"*/{FILE}") for number in _numbers(file)}
        for number in random.sample(FREE, TRIES):
            if number not in taken and _is_free(number):
                return number
        raise Unavailable("no port of this machine is free for an app: end programs that listen on many")

    async def open(self, app: str, numbers: Sequence[int], connect: Connect, *, listen: bool = True) -> None:
        """`connect` reaches the running app from now on. `listen`: the numbers are opened on the host too, unless the app does that
        itself. Raises `Unavailable` when another program has one of them."""
        await self.close(app)
        listeners = [_listen(app, number) for number in numbers] if listen else []
        self._connects[app] = connect
        self._listening[app] = [
            asyncio.create_task(_forward(listener, connect, number), name=f"port {number} of {app}")
            for listener, number in zip(listeners, numbers, strict=False)
        ]

    async def close(self, app: str) -> None:
        self._connects.pop(app, None)
        tasks = self._listening.pop(app, [])
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def connect(self, app: str, number: int) -> socket.socket:
        """A connection to an app's port; raises `Unavailable` while the app does not run."""
        if app not in self._connects:
            raise Unavailable(f"{app} does not run")
        return await self._connects[app](number)


async def _forward(listener: socket.socket, connect: Connect, number: int) -> None:
    with listener:
        await forward(listener, lambda: connect(number))


async def connect_host(number: int) -> socket.socket:
    """A connection to a program on this machine's own loopback; raises `Unavailable`."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (LOOPBACK, number))
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise Unavailable(f"nobody listens on port {number}: {error.strerror or error}") from error
        raise
    return connection


def _listen(app: str, number: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, number))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Unavailable(f"port {number} of {app} is taken by another program: end that program") from error
    return listener


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
    return True


def _numbers(file: Path) -> list[int]:
    try:
        return list(msgspec.json.decode(file.read_bytes(), type=dict[str, int]).values())
    except (OSError, msgspec.MsgspecError):
        return []
