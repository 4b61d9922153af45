"""Carries a browser's request to an app's own web server and its answer back, WebSockets too.

What never passes: cookies of core's (all cookies are cut down to those that are not `pcloud_*`), the hop-by-hop headers, and any
`Pcloud-*` header of the client's. What is added: `Pcloud-User`, signed for this app, saying who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from pcloud.errors import Unavailable

__all__ = ["Proxy"]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
    }
)
CONNECT_SECONDS = 5
LARGEST_MESSAGE = 4 * 2**20


class Proxy:
    """`async with` it; one client session serves all apps."""

    async def __aenter__(self) -> Proxy:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._client = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def forward(self, request: web.Request, address: tuple[str, int], user: str) -> web.StreamResponse:
        url = f"http://{address[0]}:{address[1]}{request.raw_path}"
        headers = passing_headers(request.headers)
        headers["Pcloud-User"] = user
        headers["X-Forwarded-Host"], headers["X-Forwarded-Proto"] = request.host, request.scheme
        headers["Host"] = request.host
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, url, headers)
        body = request.content if request.body_exists else None
        try:
            answer = await self._client.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable(f"the app does not answer ({type(error).__name__})") from error
        async with answer:
            return await answered(request, answer)

    async def _websocket(self, request: web.Request, url: str, headers: CIMultiDict[str]) -> web.StreamResponse:
        protocols = [
            part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if part.strip()
        ]
        plain = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket-")}
        try:
            upstream = await self._client.ws_connect(
                url, headers=plain, protocols=protocols, max_msg_size=LARGEST_MESSAGE
            )
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable(f"the app takes no WebSocket here ({type(error).__name__})") from error
        async with upstream:
            downstream = web.WebSocketResponse(
                protocols=[upstream.protocol] if upstream.protocol else (), max_msg_size=LARGEST_MESSAGE
            )
            await downstream.prepare(request)
            pumps = [asyncio.create_task(pump(upstream, downstream)), asyncio.create_task(pump(downstream, upstream))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in pumps:
                    task.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                await downstream.close()
            return downstream


async def answered(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Hand an app's answer on as it comes."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=returning_headers(answer.headers))
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (OSError, aiohttp.ClientError):
        # The app or the browser has gone. Half an answer must not look like a whole one, so the connection is cut.
        if request.transport is not None:
            request.transport.abort()
    return response


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def pump(source: Socket, target: Socket) -> None:
    """Copy messages until either side closes."""
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


def passing_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The request's headers that an app may see."""
    passing: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low == "cookie":
            value = "; ".join(
                part for part in map(str.strip, value.split(";")) if part and not part.startswith("pcloud_")
            )
            if not value:
                continue
        # Many servers read `_` and `-` in a header's name as the same.
        ours = low.replace("_", "-").startswith(("pcloud-", "x-forwarded-"))
        if low not in HOP_BY_HOP and not ours and low != "authorization":
            passing.add(name, value)
    return passing


def returning_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The answer's headers that a browser may see: an app sets no cookie in core's name and none for other hosts."""
    returning: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low == "set-cookie" and (value.lstrip().startswith("pcloud_") or "domain=" in value.lower()):
            continue
        if low not in HOP_BY_HOP:
            returning.add(name, value)
    returning.setdefault("X-Content-Type-Options", "nosniff")
    returning.setdefault("Referrer-Policy", "same-origin")
    return returning
