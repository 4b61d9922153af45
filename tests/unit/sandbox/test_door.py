"""What core accepts from the other end of a sandbox's door, which the app may have taken over."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from core.apps.sandbox.door import Door
from core.apps.sandbox.starter import ASK
from pcloud.errors import Unavailable


@contextmanager
def given(kind: str) -> Iterator[int]:
    """Yield a descriptor of this kind."""
    with ExitStack() as stack:
        if kind == "connected":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            yield stack.enter_context(socket.create_connection(listener.getsockname())).fileno()
        elif kind == "unix":
            one, other = socket.socketpair()
            stack.enter_context(other)
            yield stack.enter_context(one).fileno()
        elif kind == "datagram":
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.connect(("127.0.0.1", 9))
            yield one.fileno()
        elif kind == "listening":
            yield stack.enter_context(socket.create_server(("127.0.0.1", 0))).fileno()
        else:
            number = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, number)
            yield number


async def dialled(kind: str, *, number: int = 1, copies: int = 1) -> None:
    door = Door()
    try:
        dial = asyncio.create_task(door.dial(80, 2.0))
        await asyncio.sleep(0)
        asked, port = ASK.unpack(await asyncio.to_thread(door.theirs.recv, ASK.size))
        assert (asked, port) == (1, 80)
        with given(kind) as descriptor:
            socket.send_fds(door.theirs, [struct.pack("!II", number, 0)], [descriptor] * copies)
            (await dial).close()
    finally:
        door.close()


async def test_a_connected_tcp_socket_is_taken() -> None:
    await dialled("connected")


@pytest.mark.parametrize("kind", ["unix", "datagram", "listening", "file"])
async def test_nothing_else_is(kind: str) -> None:
    with pytest.raises(Unavailable, match=r"not a socket|not TCP|not connected"):
        await dialled(kind)


async def test_unrequested_and_surplus_descriptors_are_closed() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Unavailable):
        await dialled("connected", number=7)
    await dialled("connected", copies=50)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_garbage_without_end_is_not_read_without_end() -> None:
    door = Door()
    try:
        for _ in range(40):
            door.theirs.send(b"x" * 8)
        with pytest.raises(Unavailable, match="without a request"):
            await door.dial(80, 5.0)
    finally:
        door.close()
