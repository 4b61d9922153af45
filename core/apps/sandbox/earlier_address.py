"""127.0.0.1 as an address of an app's port, for clients of an app that listened there before apps had addresses of their own.

Browsers send core's cookies for a host to each of its ports, so none may get through here. A connection passes only if its first
request is for exactly this address, and has none of the headers that a browser sends with each request to a loopback address
(https://www.w3.org/TR/fetch-metadata/). A browser uses a connection for one address alone.
"""

from __future__ import annotations

import asyncio
import re
import socket

from core.apps.sandbox.accept import Connect, carry

__all__ = ["is_program", "serve_programs"]

HEAD = 16 * 2**10
SECONDS = 30.0
END = b"\r\n\r\n"
BROWSER = re.compile(rb"\r\n(sec-fetch-[a-z]+|cookie)[ \t]*:", re.IGNORECASE)
HOST = re.compile(rb"\r\nhost[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)


async def serve_programs(connection: socket.socket, connect: Connect, authority: str) -> None:
    """Forward a connection to the one that `connect` returns if a program asks; close it otherwise. `authority`: HOST:PORT."""
    head = await _head(connection)
    if not is_program(head, authority):
        connection.close()
        return
    other = await connect()
    try:
        await asyncio.get_running_loop().sock_sendall(other, head)
    except BaseException:
        other.close()
        raise
    await carry(connection, other)


def is_program(head: bytes, authority: str) -> bool:
    """Return True if the request (its head, and what came with it) is for `authority` and no browser sent it."""
    fields, end, _ = head.partition(END)
    hosts = HOST.findall(fields + end)
    return bool(end) and hosts == [authority.encode()] and not BROWSER.search(fields)


async def _head(connection: socket.socket) -> bytes:
    """All bytes up to the first that complete the head; fewer if the client sends no more, or too many, or takes too long."""
    head = b""
    try:
        async with asyncio.timeout(SECONDS):
            while END not in head and len(head) < HEAD:
                if not (piece := await asyncio.get_running_loop().sock_recv(connection, HEAD)):
                    break
                head += piece
    except TimeoutError:
        pass
    return head
