"""Core's end of the channel to one sandbox: receives the listening sockets that the starter opened, and asks the dialer
for connections.

The first message comes before the app's first instruction. Any later message may come from the app: at most one
descriptor a message is accepted, and only a connected TCP socket is used; such a socket can lead only into the
sandbox where it was made.
"""

from __future__ import annotations

import array
import asyncio
import errno
import itertools
import os
import socket
import struct
from typing import NamedTuple

from core.apps.sandbox.starter import ASK
from pcloud.errors import Unavailable

__all__ = ["Door", "Opened"]

MESSAGE = 64
MOST_LISTENERS = 250  # the kernel passes 253 at once (SCM_MAX_FD)
STRAY_ANSWERS = 16
SO_PASSCRED = 16
SO_DOMAIN = 39
CREDENTIALS = struct.Struct("3i")
ANSWER = struct.Struct("!II")


class Opened(NamedTuple):
    """`pid`: of the app, as core sees it. `listeners`: in the order of the request."""

    pid: int
    listeners: list[socket.socket]


class DoorMessage(NamedTuple):
    data: bytes
    descriptors: list[int]
    pid: int


class Door:
    """`theirs` goes to the starter and is closed here by `handed_over`; `close()` ends the dialer."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        self._numbers = itertools.count(1)
        self._asking = asyncio.Lock()

    def handed_over(self) -> None:
        self.theirs.close()

    def close(self) -> None:
        self.theirs.close()
        self._ours.close()

    async def opened(self, count: int, seconds: float) -> Opened:
        """Wait for `count` listening sockets; raises `Unavailable` if the starter ends or does not answer in time."""
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive(MOST_LISTENERS)
        except TimeoutError as error:
            raise Unavailable(f"the sandbox did not open its listeners within {seconds:.0f} s") from error
        listeners = [socket.socket(fileno=number) for number in message.descriptors]
        if message.data != b"open" or len(listeners) != count or not message.pid:
            for listener in listeners:
                listener.close()
            raise Unavailable("the sandbox ended before the app began; its log says why")
        for listener in listeners:
            listener.setblocking(False)
        return Opened(message.pid, listeners)

    def go(self) -> None:
        """Let the starter become the app; raises `Unavailable`."""
        try:
            self._ours.send(b"go")
        except OSError as error:
            raise Unavailable("the sandbox ended before the app began; its log says why") from error

    async def dial(self, port: int, seconds: float = 5.0) -> socket.socket:
        """Return a connection to a port inside; raises `Unavailable` if no program listens there."""
        async with self._asking:
            number = next(self._numbers) & 0xFFFFFFFF
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.get_running_loop().sock_sendall(self._ours, ASK.pack(number, port))
                    return await self._answer(number, port)
            except TimeoutError as error:
                raise Unavailable(f"port {port} in the sandbox was not reached within {seconds:g} s") from error
            except OSError as error:
                raise Unavailable("the sandbox has ended") from error

    async def _answer(self, number: int, port: int) -> socket.socket:
        for _ in range(STRAY_ANSWERS):
            message = await self._receive(1)
            if not message.data:
                raise Unavailable("the sandbox has ended")
            answered, reason = ANSWER.unpack(message.data) if len(message.data) == ANSWER.size else (0, 0)
            if answered == number and message.descriptors:
                return _connected(message.descriptors[0])
            for descriptor in message.descriptors:
                os.close(descriptor)
            if answered == number:
                raise Unavailable(f"port {port} in the sandbox: {os.strerror(reason or errno.ECONNREFUSED)}")
        raise Unavailable("the sandbox sends answers without a request")

    async def _receive(self, most: int) -> DoorMessage:
        while True:
            try:
                return self._received(most)
            except BlockingIOError:
                await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._ours, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(self._ours)

    def _received(self, most: int) -> DoorMessage:
        numbers = array.array("i")
        space = socket.CMSG_SPACE(most * numbers.itemsize) + socket.CMSG_SPACE(CREDENTIALS.size)
        data, ancillary, _, _ = self._ours.recvmsg(MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
        pid = 0
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = CREDENTIALS.unpack(content[: CREDENTIALS.size])[0]
        for surplus in numbers[most:]:
            os.close(surplus)
        return DoorMessage(data, list(numbers[:most]), pid)


def _connected(descriptor: int) -> socket.socket:
    """Raises `Unavailable` unless the descriptor is a connected TCP socket."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError as error:
        os.close(descriptor)
        raise Unavailable("the sandbox sent a descriptor that is not a socket") from error
    try:
        if connection.getsockopt(socket.SOL_SOCKET, SO_DOMAIN) != socket.AF_INET:
            raise Unavailable("the sandbox sent a socket that is not TCP")
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            raise Unavailable("the sandbox sent a socket that is not TCP")
        connection.getpeername()
        connection.setblocking(False)
    except OSError as error:
        connection.close()
        raise Unavailable("the sandbox sent a socket that is not connected") from error
    except Unavailable:
        connection.close()
        raise
    return connection
