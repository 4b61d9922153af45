"""What core passes on from an app's web server, for any answer."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from core.front.ingress.proxy import Proxy
from pcloud.errors import Unavailable
from tests.waiting import PATIENCE


async def asked(answer: bytes, *, again: bool = False) -> tuple[int, aiohttp.typedefs.LooseHeaders]:
    """Return status and headers that a browser gets from an app with this answer, once or always; 503 stands for `Unavailable`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(answer)
                await writer.drain()
                if not again:
                    break
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await proxy.forward(request, ("127.0.0.1", port), "user")
        except Unavailable as error:
            return web.Response(status=503, text=error.message)

    application = web.Application()
    application.router.add_get("/", handle)
    async with server, Proxy() as proxy, TestClient(TestServer(application)) as browser, browser.get("/") as got:
        return got.status, got.headers


@pytest.mark.parametrize("line", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
async def test_app_that_never_answers_is_cut_off(line: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        assert (await asked(line * 1000, again=True))[0] == 503


async def test_a_few_preliminary_answers_are_read_over() -> None:
    assert (await asked(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 204 No Content\r\n\r\n"))[0] == 204


@pytest.mark.parametrize("status", ["101 Switching Protocols", "000 Nothing", "099 Less"])
async def test_a_status_that_ends_no_request_is_no_answer(status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
    assert (await asked(head.encode()))[0] == 503


async def test_referrer_policies_are_never_looser_than_ours() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nReferrer-Policy: same-origin\r\nReferrer-Policy: unsafe-url\r\nContent-Length: 0\r\n\r\n"
    )
    headers = (await asked(head))[1]
    assert headers.getall("Referrer-Policy") == ["same-origin"]  # type: ignore[union-attr]
