"""The door to S3: passes each request on to weed, and holds the answer to a write until its bytes are on the disk.

weed acknowledges a write before it is on the disk. So the answer to every request that may change something waits for
a flush that began after weed had answered; all that wait share one. Reads are passed through as they come. Bodies are
never held in memory; only a write's answer is, which is short.

weed gets each request as the client signed it: target, `Host` and headers stay, except for headers that concern one
connection alone. Both sides' messages are parsed and written again, so weed never sees the client's framing. Requests
that come while weed is starting wait for it, a bounded while. Requests for which there is no room are refused with 507
before weed gets a byte (`intake`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import aiohttp
import yarl
from aiohttp import web
from aiohttp.http import HttpProcessingError

from object_store.intake import Intake
from object_store.room import Full, Upload
from pcloud.errors import Unavailable

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

__all__ = ["Flush", "open_gate"]

log = logging.getLogger("object_store.gate")


def _not_of_a_client(record: logging.LogRecord) -> bool:
    """False for a request that is not one of HTTP: whatever a client sends, it fills no log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_log = logging.getLogger("object_store.gate.http")  # aiohttp's server writes to it
_http_log.addFilter(_not_of_a_client)

_READS, _WRITES = frozenset({"GET", "HEAD", "OPTIONS"}), frozenset({"PUT", "POST", "DELETE"})
# RFC 9110, 7.6.1: each side's connection has its own. `Expect` is answered here.
_OF_CONNECTION = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
)
_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # by aiohttp, if they are missing
_PIECE = 2**18
_LONGEST_LINE = 2**15
_LONGEST_ANSWER = 2**24  # bytes of a write's answer; the longest one is that to a deletion of 1,000 keys
_PATIENCE = 15.0  # seconds for a weed that is starting
_SILENCE = 300.0  # seconds without a byte from weed


class Flush(Protocol):
    async def durable(self) -> None:
        """Wait for a flush that begins after this call."""
        ...


class Gate:
    """`upstream`: where weed serves S3. `ready`: set while it does."""

    def __init__(
        self, upstream: str, flush: Flush, ready: asyncio.Event, intake: Intake, client: aiohttp.ClientSession
    ) -> None:
        self._upstream, self._flush, self._ready, self._intake, self._client = upstream, flush, ready, intake, client

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in _READS | _WRITES or not request.raw_path.startswith("/"):
            return _refused(request, 400, "InvalidRequest", "the request is not one of S3")
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ready.wait()
            async with self._intake.admitted(request.method, request.query, request.headers) as upload:
                return await self._answer(request, upload)
        except Full as full:
            return _refused(request, 507, "InsufficientStorage", full.message)
        except Unavailable as error:
            return _refused(request, 503, "ServiceUnavailable", error.message)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("%s %.200s: weed did not answer: %s", request.method, request.path, error or "it is starting")
            return _refused(request, 503, "ServiceUnavailable", "the object store is starting: try again in a moment")

    async def _answer(self, request: web.BaseRequest, upload: Upload | None) -> web.StreamResponse:
        try:
            async with self._passed_on(request, upload) as answer:
                if upload and answer.status >= 500:
                    self._intake.suspect()
                return await (self._stream if request.method in _READS else self._hold)(request, answer)
        except aiohttp.ClientError:
            if upload and upload.refused:  # in its midst; weed keeps nothing of it
                raise upload.refused from None
            raise

    @asynccontextmanager
    async def _passed_on(
        self, request: web.BaseRequest, upload: Upload | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        answered = asyncio.get_running_loop().create_future()
        async with self._client.request(
            request.method, yarl.URL(self._upstream + request.raw_path, encoded=True), headers=_end_to_end(request.headers),
            data=_body(request, answered, upload) if request.body_exists else None, allow_redirects=False,
        ) as answer:  # fmt: skip
            try:
                yield answer
            finally:
                answered.cancel()

    async def _stream(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers))
        try:
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
        except aiohttp.ClientError:  # the client must not take the beginning for all of it
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def _hold(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > _LONGEST_ANSWER:
                raise ValueError("its answer is too long")
        if answer.status < 400:
            await self._flush.durable()
        return web.Response(status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers), body=body)


@asynccontextmanager
async def open_gate(port: int, upstream: str, flush: Flush, ready: asyncio.Event, intake: Intake) -> AsyncIterator[int]:
    """Serve on this port of 127.0.0.1 until the end of the block; gives the port, which the system chooses for 0. `upstream`:
    where weed serves S3; `ready`: set while it does; `intake`: admits what adds bytes."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_SILENCE),
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
        skip_auto_headers=_ADDED, read_bufsize=_PIECE, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE,
    ) as client:  # fmt: skip
        gate = Gate(upstream, flush, ready, intake, client)
        server = web.Server(
            gate.answer, handler_cancellation=True, auto_decompress=False, access_log=None, logger=_http_log, read_bufsize=_PIECE,
            max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE,
        )  # fmt: skip
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()


async def _body(
    request: web.BaseRequest, answered: asyncio.Future[None], upload: Upload | None
) -> AsyncIterator[bytes]:
    """The request's body. A client that waits until it is wanted hears so. After weed has answered, which it may do
    before it has read all, no more is sent."""
    sending = asyncio.current_task()
    assert sending is not None
    answered.add_done_callback(lambda _: sending.cancel())
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    async for piece in request.content.iter_any():
        if upload:
            upload.came(len(piece))
        yield piece


def _end_to_end(headers: CIMultiDictProxy[str]) -> list[tuple[str, str]]:
    named = {name.strip().lower() for line in headers.getall("Connection", ()) for name in line.split(",")}
    return [(name, value) for name, value in headers.items() if name.lower() not in _OF_CONNECTION | named]


def _refused(request: web.BaseRequest, status: int, code: str, message: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    retry = {"Retry-After": "1"} if status == 503 else {}
    response = web.Response(status=status, text=text, content_type="application/xml", headers=retry)
    response.force_close()
    return response
