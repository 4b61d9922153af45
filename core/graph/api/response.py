"""A response whose head and body are sent in one write.

aiohttp checks a response's headers, joins them and sends head and body separately: a third of the server's work for a small
answer. Figures: docs/explanation/decisions.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

__all__ = ["OneWriteResponse", "respond"]

LARGE = 2**16


def respond(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Return a 200 with this body. `headers`: made by core itself, without line breaks. Headers of every answer of a server are
    in the request's `always`, if it has that."""
    if request.version != HttpVersion11 or not request.keep_alive or request.method == "HEAD":
        return web.Response(body=body, headers=headers)
    return OneWriteResponse(body, headers, getattr(request, "always", b""))


class OneWriteResponse(web.StreamResponse):
    """Answers a request that leaves its connection open. `prepare` sends it, with its `headers` and a length; `write_eof` returns once
    the client has read enough of it."""

    def __init__(self, body: bytes, headers: Mapping[str, str], always: bytes = b"") -> None:
        super().__init__(headers=headers)
        self._whole, self._always = body, always
        self._writer: AbstractStreamWriter | None = None

    @property
    def prepared(self) -> bool:
        return self._writer is not None

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        if self._writer is None:
            if request.transport is None:
                raise ConnectionResetError("the client has gone")
            body, date = self._whole, _date(int(time.time()))
            headers = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()]).encode()
            head = b"HTTP/1.1 200 OK\r\n%b%bDate: %b\r\nContent-Length: %d\r\n\r\n" % (
                headers, self._always, date, len(body),
            )  # fmt: skip
            # A large body is not copied behind its head.
            for part in (head + body,) if len(body) < LARGE else (head, body):
                request.transport.write(part)
            self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        assert self._writer is not None and not data
        await self._writer.drain()


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
