"""An answer in one write has the same headers as any answer, and every answer has those that keep it to its origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
from aiohttp import web

from core.front.answer_headers import UNLESS_SAID, FrontRequest
from core.front.ingress.headers import SAFE
from core.graph.api.response import OneWriteResponse, respond

BODY = b'{"data":{}}'
LARGE = b"x" * 30_000_000
HEADERS = {"Content-Type": "application/json", "Pcloud-Revision": "abc.7"}


class Sent:
    done = asyncio.Event()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Answers with `respond`; at /plain as aiohttp would; at /large until the client has read it."""
    Sent.done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        await request.read()
        if request.path == "/plain":
            return web.Response(body=BODY, headers=HEADERS)
        if request.path == "/large":
            response = respond(request, LARGE, HEADERS)
            await response.prepare(request)
            await response.write_eof()
            Sent.done.set()
            return response
        response = respond(request, BODY, HEADERS)
        if request.path == "/kept-nowhere":
            response.headers["Cache-Control"] = "no-store"
        return response

    def arriving(*parts: object) -> FrontRequest:
        return FrontRequest(*parts, loop)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(serve, request_factory=arriving, access_log=None))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def raw(port: int, sent: bytes) -> bytes:
    """Return everything received until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answered = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answered


def post(path: str, version: str = "1.1", *more: str) -> bytes:
    lines = (f"POST {path} HTTP/{version}", "Host: localhost", "Content-Length: 2", *more)
    return "\r\n".join([*lines, "", "{}"]).encode()


def head_of(answered: bytes) -> tuple[str, dict[str, str]]:
    status, *lines = answered.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def test_one_write_says_what_any_answer_says(port: int) -> None:
    # A second request, after which the server closes, follows each in the same packet.
    last = post("/plain", "1.1", "Connection: close")
    quick, plain = await raw(port, post("/") + last), await raw(port, post("/plain") + last)
    (status, headers), (plain_status, plain_headers) = head_of(quick), head_of(plain)
    assert status == plain_status == "HTTP/1.1 200 OK"
    for told in (headers, plain_headers):
        assert told.pop("date").endswith("GMT")
    assert headers == {name: value for name, value in plain_headers.items() if name != "server"}
    assert {name.lower(): value for name, value in (SAFE | UNLESS_SAID | HEADERS).items()}.items() <= headers.items()
    assert quick.count(BODY) == plain.count(BODY) == 2 and quick.count(b"HTTP/1.1 200 OK") == 2


async def test_a_header_that_is_added_later_is_sent(port: int) -> None:
    answered = await raw(port, post("/kept-nowhere") + post("/plain", "1.1", "Connection: close"))
    assert head_of(answered)[1].get("cache-control") == "no-store"


@pytest.mark.parametrize(("version", "more"), [("1.0", []), ("1.1", ["Connection: close"])])
async def test_a_connection_is_closed_where_the_client_wants(port: int, version: str, more: list[str]) -> None:
    answered = await raw(port, post("/", version, *more))
    assert answered.startswith(f"HTTP/{version} 200 OK".encode()) and answered.endswith(BODY)


async def test_a_client_that_takes_nothing_is_waited_for(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(post("/large"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert not Sent.done.is_set()
    assert len(await reader.readexactly(int(head_of(head)[1]["content-length"]))) == len(LARGE)
    await asyncio.wait_for(Sent.done.wait(), 20)
    writer.close()


async def test_a_refusal_of_the_parsers_own_is_kept_to_its_origin(port: int) -> None:
    status, headers = head_of(await raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"))
    assert "400" in status
    assert headers.get("content-security-policy") == UNLESS_SAID["Content-Security-Policy"], (
        f"aiohttp {version('aiohttp')} no longer calls `_prepare_hook`: see core/aiohttp_private.py"
    )


def test_what_answer_overrides_is_still_there() -> None:
    for name in ("prepare", "write_eof", "keep_alive", "prepared"):
        assert hasattr(web.StreamResponse, name), (
            f"aiohttp {version('aiohttp')} has no {name}: see core/graph/api/response.py"
        )
    assert not OneWriteResponse(b"", {}).prepared
