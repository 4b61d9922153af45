"""Accepts the connections that an app makes on its own loopback, and hands each to a server of core's or forwards it to
another address.

Connections are bounded per listener and per app: for an app that opens connections without end, the first ones are
served and the others closed at once. So one app can't exhaust core's descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from pcloud.errors import PCloudError

__all__ = ["MOST_CONNECTIONS", "MOST_OF_APP", "Connect", "Open", "accept_each", "carry", "forward"]

log = logging.getLogger("pcloud.sandbox")
MOST_CONNECTIONS = 128
MOST_OF_APP = 256
PAUSE = 0.1
Connect = Callable[[], Awaitable[socket.socket]]
Open = set[asyncio.Task[None]]


async def accept_each(
    listener: socket.socket, serve: Callable[[socket.socket], Awaitable[None]], of_app: Open | None = None,
    most: int = MOST_CONNECTIONS,
) -> None:  # fmt: skip
    """Accept until cancelled; `serve` is awaited for each connection separately, and owns it. `of_app`: the app's open
    connections, shared by all its listeners. `most`: for this listener."""
    of_app = set() if of_app is None else of_app
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        open_ = Open()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # for example, no file descriptor is free
                log.warning("a connection was not accepted: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            if len(open_) >= most or len(of_app) >= MOST_OF_APP:
                connection.close()
                continue
            task = group.create_task(_served(serve, connection))
            for tasks in (open_, of_app):
                tasks.add(task)
                task.add_done_callback(tasks.discard)


async def _served(serve: Callable[[socket.socket], Awaitable[None]], connection: socket.socket) -> None:
    try:
        await serve(connection)
    except (OSError, PCloudError) as error:
        connection.close()
        log.debug("a connection of an app ended: %s", error)
    except Exception:
        connection.close()
        log.exception("a connection of an app could not be served")
    except BaseException:
        connection.close()
        raise


async def forward(
    listener: socket.socket, connect: Connect, of_app: Open | None = None, most: int = MOST_CONNECTIONS
) -> None:
    """Forward each connection to the one that `connect` returns, until cancelled; `of_app` and `most` as in `accept_each`."""

    async def serve(connection: socket.socket) -> None:
        await carry(connection, await connect())

    await accept_each(listener, serve, of_app, most)


def _uncounted(sent: int, received: int) -> None:
    pass


async def carry(one: socket.socket, other: socket.socket, passed: Callable[[int, int], None] = _uncounted) -> None:
    """Copy bytes both ways until both ends are done, passing on each end's half-close. Closes both. `passed` receives
    the numbers of bytes that came from `one` and from `other`."""
    loop = asyncio.get_running_loop()
    left, right = _End(lambda count: passed(count, 0)), _End(lambda count: passed(0, count))
    left.other, right.other = right, left
    try:
        await loop.connect_accepted_socket(lambda: left, one)
        await loop.connect_accepted_socket(lambda: right, other)
        left.go_on()
        right.go_on()
        await asyncio.gather(left.closed.wait(), right.closed.wait())
    finally:
        for end, connection in ((left, one), (right, other)):
            if end.made:
                end.transport.abort()
            else:
                connection.close()


class _End(asyncio.Protocol):
    other: _End
    transport: asyncio.Transport

    def __init__(self, came: Callable[[int], None]) -> None:
        self._came = came
        self.made = False
        self.ended = False
        self.closed = asyncio.Event()
        self.early = b""  # arrived before the other end was connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.made = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        self._came(len(data))
        if self.other.made and not self.early:
            self.other.transport.write(data)
        else:
            self.early += data
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Both ends are connected."""
        if self.early:
            self.other.transport.write(self.early)
            self.early = b""
            self.transport.resume_reading()
        if self.ended:
            self.other.transport.write_eof()

    def eof_received(self) -> bool:
        self.ended = True
        if self.other.ended:
            self.other.transport.close()
            return False
        if self.other.made and not self.early:
            with suppress(OSError):
                self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if self.other.made:
            if exc is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()
