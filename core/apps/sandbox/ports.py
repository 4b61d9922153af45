"""Ports that apps publish for each other (`run.ports`): an address on this machine's loopback for each app, and a
number for each port, chosen once and kept.

The same address and number reach the app wherever they are open: on the host, and inside the sandbox of each app
that was granted a call to it. So an address that one of them composes works for the others. The app itself listens
at that number on the 127.0.0.1 of its own sandbox.

The loopback address differs from all of core's: browsers send the cookies of a host to each of its ports, and
`localhost` has core's. A port that an app chose itself before core did keeps its number, and programs that know it at
127.0.0.1 reach it there too; see `earlier_address`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.apps.sandbox.accept import Open, accept_each, forward
from core.apps.sandbox.earlier_address import serve_programs
from core.apps.sandbox.loopback import LOOPBACK, is_published, published_address
from pcloud.errors import Corrupt, Unavailable

__all__ = ["Connect", "Ports", "Published", "connect_host"]

log = logging.getLogger("pcloud.sandbox")
# Below Linux's range of outgoing connections (from 32768), with room for programs that also use number + 10000.
FREE = range(15_000, 22_768)
TRIES = 200
FILE, ADDRESS = "ports.json", "address"
EARLIER = "earlier_ports.json"  # those that are open at 127.0.0.1 too, for programs that know them there
MOST = 2**16  # bytes of such a file
CONNECT_SECONDS = 5.0
Connect = Callable[[int], Awaitable[socket.socket]]


class Published(NamedTuple):
    """A port of an app, and where it is reached."""

    app: str
    address: str
    port: int


class Ports:
    """The ports of all apps on this node; `folder` holds a folder for each."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._connects: dict[str, Connect] = {}
        self._listening: dict[str, list[asyncio.Task[None]]] = {}

    def published(self, app: str, name: str) -> Published:
        """Return the app's port of that name; choose it at the first call. Raises `Corrupt`, or `Unavailable` if none is free."""
        address = self._address(app)
        return Published(app, address, self._number(app, name, address))

    def _address(self, app: str) -> str:
        """If the stored address can't be read, choose a new one; addresses composed with the old one stop working."""
        file = self._folder / app / ADDRESS
        kept = file.read_text().strip() if file.exists() else ""
        if not is_published(kept):
            kept = published_address()
            _write(file, f"{kept}\n".encode())
        return kept

    def _number(self, app: str, name: str, address: str) -> int:
        file = self._folder / app / FILE
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=dict[str, int]) if file.exists() else {}
        except msgspec.MsgspecError as error:
            raise Corrupt(
                f"the ports of {app} at {file} can't be read: remove the file, new ones are chosen"
            ) from error
        if name not in kept:
            if kept_by_app := self._chosen_by(app, name, address):
                earlier = self._folder / app / EARLIER  # first: once the number is kept, nothing asks for it here again
                _write(earlier, msgspec.json.encode({**_numbers(earlier), name: kept_by_app}))
            kept[name] = kept_by_app or self._choose(address)
            _write(file, msgspec.json.encode(kept))
        return kept[name]

    def _chosen_by(self, app: str, name: str, address: str) -> int:
        """The number that an app's earlier version chose itself and keeps in its data folder, as clients know it; 0 without one."""
        number = _numbers(self._folder / app / "data" / FILE).get(name, 0)
        return number if number in FREE and number not in self._taken() and _is_free(address, number) else 0

    def _taken(self) -> set[int]:
        return {number for file in self._folder.glob(f"*/{FILE}") for number in _numbers(file).values()}

    def _choose(self, address: str) -> int:
        taken = self._taken()
        for number in random.sample(FREE, TRIES):
            if number not in taken and _is_free(address, number) and _is_free(LOOPBACK, number):
                return number
        raise Unavailable("no port of this machine is free for an app: end programs that listen on many")

    async def open(self, app: str, ports: Sequence[Published], connect: Connect) -> None:
        """From now on `connect` reaches the running app, and the ports are open on the host. Raises `Unavailable` if
        another program uses one of them; at an earlier address that is only logged."""
        await self.close(app)
        opened = [(one, _listen(one), _forward) for one in ports]
        opened += [(one, listener, _forward_programs) for one, listener in self._listen_earlier(app, ports)]
        self._connects[app] = connect
        open_ = Open()
        self._listening[app] = [
            asyncio.create_task(work(listener, partial(connect, one.port), open_), name=f"port {one.port} of {app}")
            for one, listener, work in opened
        ]

    def _listen_earlier(self, app: str, ports: Sequence[Published]) -> Iterator[tuple[Published, socket.socket]]:
        earlier = set(_numbers(self._folder / app / EARLIER).values())
        for one in ports:
            if one.port in earlier:
                try:
                    yield one, _listen(one._replace(address=LOOPBACK))
                except Unavailable as error:
                    log.warning("devices that know %s there do not reach it: %s", app, error)

    async def close(self, app: str) -> None:
        self._connects.pop(app, None)
        tasks = self._listening.pop(app, [])
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def connect(self, app: str, number: int) -> socket.socket:
        """Return a connection to an app's port; raises `Unavailable` while the app does not run."""
        if app not in self._connects:
            raise Unavailable(f"{app} does not run")
        return await self._connects[app](number)


async def _forward(listener: socket.socket, connect: Callable[[], Awaitable[socket.socket]], open_: Open) -> None:
    with listener:
        await forward(listener, connect, open_)


async def _forward_programs(
    listener: socket.socket, connect: Callable[[], Awaitable[socket.socket]], open_: Open
) -> None:
    host, port = listener.getsockname()
    with listener:
        await accept_each(listener, lambda one: serve_programs(one, connect, f"{host}:{port}"), open_)


async def connect_host(number: int) -> socket.socket:
    """Return a connection to a program on this machine's own loopback; raises `Unavailable`."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (LOOPBACK, number))
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise Unavailable(f"no program listens on port {number}: {error.strerror or error}") from error
        raise
    return connection


def _listen(one: Published) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((one.address, one.port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"{one.address}:{one.port} of {one.app} is taken by another program: end that program"
        ) from error
    return listener


def _is_free(address: str, number: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, number))
        except OSError:
            return False
    return True


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


def _numbers(file: Path) -> dict[str, int]:
    """The ports by name in a file, which may be an app's own: never through a link, nor waiting for a pipe."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            return msgspec.json.decode(opened.read(MOST), type=dict[str, int])
    except (OSError, msgspec.MsgspecError):
        return {}
