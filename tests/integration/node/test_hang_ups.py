"""A browser that hangs up, at whatever moment, is no error: the log says nothing of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

import pytest

from tests.integration.node.front import FrontDoor
from tests.waiting import until

IDLE = 1  # the connection of the test's own client, which is kept alive
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


async def hang_up(front: FrontDoor, app: str, head: str, body: bytes = b"", *, reset: bool, wait: bool) -> None:
    """Send a request, and close the connection before its answer is read: by FIN, or by RST as when a phone loses its network.
    `wait`: for the answer's beginning."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    lines = f"Host: {front.host(app)}\r\nCookie: {front.cookie(app)}\r\nOrigin: http://{front.host(app)}\r\n"
    first, _, rest = head.partition("\r\n")
    writer.write(f"{first}\r\n{lines}{rest}\r\n".encode() + body)
    await writer.drain()
    if wait:
        await reader.read(1)
    if reset:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("app", "head", "body", "wait"),
    [
        ("", "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n", b'{"query"', False),
        ("", "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n", b"{}", False),
        ("", f"GET /graphql HTTP/1.1\r\n{UPGRADE}", b"", False),
        ("", "POST /signin HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n", b"token", False),
        ("console", "GET / HTTP/1.1\r\n", b"", False),
        ("console", "POST /admin/x HTTP/1.1\r\nContent-Length: 100\r\n", b"a", False),
        ("photos", "GET /large HTTP/1.1\r\n", b"", True),
        ("photos", "GET /endless HTTP/1.1\r\n", b"", True),
        ("photos", "GET /endless HTTP/1.1\r\n", b"", False),
        ("photos", "POST /upload HTTP/1.1\r\nContent-Length: 1000\r\n", b"a", False),
        ("photos", f"GET /echo HTTP/1.1\r\n{UPGRADE}", b"", True),
        ("photos", f"GET /echo HTTP/1.1\r\n{UPGRADE}", b"", False),
    ],
)  # fmt: skip
async def test_a_client_that_hangs_up_is_not_logged(
    front: FrontDoor, caplog: pytest.LogCaptureFixture, app: str, head: str, body: bytes, wait: bool, reset: bool
) -> None:
    for _ in range(5):
        await hang_up(front, app, head, body, reset=reset, wait=wait)
    async with front.request("/healthz", signed_in=False) as after:
        assert after.status == 200
    await until(lambda: requests_under_way() == 0)
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warned if record.name != "tests.app"] == []


def requests_under_way() -> int:
    """Connections whose client has gone and whose request has not ended."""
    return sum("RequestHandler.start" in repr(task.get_coro()) for task in asyncio.all_tasks()) - IDLE
