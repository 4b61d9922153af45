"""Parses a client's request to the proxy in three forms on one port: CONNECT and absolute-form HTTP (RFC 9110, 9112),
and SOCKS5 with names (RFC 1928). It reads requests and writes answers, and makes no decisions.

A plain HTTP request is passed on alone: its connection is closed after the answer, so that a second request can't
follow it to another host.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pcloud.errors import Forbidden, PCloudError, Rejected
from pcloud.network import check_host

__all__ = ["ProxyRequest", "read_request"]

HEAD_BYTES = 16 * 1024
READ_SECONDS = 30.0
SOCKS, NO_PASSWORD, NO_METHOD, CONNECT, NAME = 5, 0, 255, 1, 3
SUCCEEDED, NOT_ALLOWED, NOT_REACHED, NO_SUCH_COMMAND = 0, 2, 4, 7
ADDRESS_BYTES = {1: 4, 4: 16}
# Headers that only concern a client and its proxy (RFC 9110, 7.6.1), and those that the proxy replaces.
_NOT_PASSED = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "host"})


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """Where a client wants to connect. `yes`: the answer once core is connected. `first`: sent to the host before all
    else. `no`: makes the answer for a failure."""

    host: str
    port: int
    no: Callable[[PCloudError], bytes]
    yes: bytes = b""
    first: bytes = b""


async def read_request(connection: socket.socket) -> ProxyRequest:
    """Raises `Rejected` or `Forbidden`, after answering the client, or `TimeoutError`."""
    client = _Client(connection)
    async with asyncio.timeout(READ_SECONDS):
        socks = await client.peek() == SOCKS
        try:
            return await (_socks(client) if socks else _http(client))
        except PCloudError as error:
            await client.send(_socks_no(error) if socks else _http_no(error))
            raise


@dataclass(slots=True)
class _Client:
    """A client's bytes, read up to a delimiter; the rest is in `given`."""

    connection: socket.socket
    given: bytearray = field(default_factory=bytearray)

    async def peek(self) -> int:
        while not self.given:
            await self._more()
        return self.given[0]

    async def take(self, count: int) -> bytes:
        while len(self.given) < count:
            await self._more()
        taken = bytes(self.given[:count])
        del self.given[:count]
        return taken

    async def head(self) -> list[str]:
        """Return the lines up to the empty one."""
        while (end := self.given.find(b"\r\n\r\n")) < 0:
            if len(self.given) > HEAD_BYTES:
                raise Rejected(f"a request's head has more than {HEAD_BYTES} bytes")
            await self._more()
        return (await self.take(end + 4))[:-4].decode("latin-1").split("\r\n")

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.connection, data)

    async def _more(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.connection, 4096)
        if not data:
            raise Rejected("the client closed the connection before its request was complete")
        self.given += data


async def _socks(client: _Client) -> ProxyRequest:
    methods = await client.take((await client.take(2))[1])
    await client.send(bytes([SOCKS, NO_PASSWORD if NO_PASSWORD in methods else NO_METHOD]))
    _, command, _, kind = await client.take(4)
    if kind == NAME:
        name = (await client.take((await client.take(1))[0])).decode("latin-1")
    else:
        name = f"[{(await client.take(ADDRESS_BYTES.get(kind, 0))).hex()}]"
    port = int.from_bytes(await client.take(2), "big")
    if command != CONNECT:
        raise Rejected("the proxy makes outgoing TCP connections only: no UDP, and no connections from outside")
    return ProxyRequest(_host(name), port, _socks_no, _socks_answer(SUCCEEDED), bytes(client.given))


async def _http(client: _Client) -> ProxyRequest:
    head = await client.head()
    words = head[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Rejected("the proxy speaks HTTP/1.1 (CONNECT and absolute-form) and SOCKS5")
    method, target, version = words
    if method == "CONNECT":
        name, _, digits = target.rpartition(":")
        return ProxyRequest(
            _host(name), _port(digits), _http_no, b"HTTP/1.1 200 Connected\r\n\r\n", bytes(client.given)
        )
    try:
        url = urlsplit(target)
        name, digits = url.hostname or "", str(url.port or 80)
    except ValueError as error:
        raise Rejected("the address of a request to the proxy can't be read") from error
    if url.scheme != "http":
        raise Rejected("the proxy takes http://HOST/PATH, and CONNECT HOST:PORT for everything else")
    host, port = _host(name), _port(digits)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    passed = [line for line in head[1:] if line.partition(":")[0].strip().lower() not in _NOT_PASSED]
    lines = [
        f"{method} {path} {version}",
        f"Host: {host}" + (f":{port}" if port != 80 else ""),
        *passed,
        "Connection: close",
    ]
    return ProxyRequest(
        host, port, _http_no, b"", "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(client.given)
    )


def _host(name: str) -> str:
    try:
        return check_host(name)
    except Rejected as error:
        raise Forbidden(error.message) from error


def _port(digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and 0 < int(digits[:6]) < 65536):
        raise Rejected(f"{digits[:20]!r} is not a port")
    return int(digits)


def _http_no(error: PCloudError) -> bytes:
    lines = ((Forbidden, "403 Forbidden"), (Rejected, "400 Bad Request"))
    status = next((line for kind, line in lines if isinstance(error, kind)), "502 Bad Gateway")
    body = f"PCloud: {error.message}\n".encode()
    fields = ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join([f"HTTP/1.1 {status}", *fields]).encode() + body


def _socks_no(error: PCloudError) -> bytes:
    codes = ((Forbidden, NOT_ALLOWED), (Rejected, NO_SUCH_COMMAND))
    return _socks_answer(next((code for kind, code in codes if isinstance(error, kind)), NOT_REACHED))


def _socks_answer(code: int) -> bytes:
    """A SOCKS answer with a placeholder address: the app does not need to know core's own."""
    return bytes([SOCKS, code, 0, 1, 0, 0, 0, 0, 0, 0])
