"""Forwards a browser's request to an app's own web server and its answer back, WebSockets too.

`headers` decides which headers pass. `Pcloud-User` is added: the caller, signed for this app.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from core.aiohttp_private import bound_preliminary
from core.apps.sandbox.inside import Inside, InsideConnector
from core.front.ingress.headers import passing_headers, returning_headers
from pcloud.errors import Rejected, Unavailable

__all__ = ["Proxy"]

CONNECT_SECONDS = 5
LARGEST_MESSAGE = 4 * 2**20


class Proxy:
    """Use it with `async with`; one client session serves all apps on this machine's own loopback, and each sandbox has
    a session of its own."""

    async def __aenter__(self) -> Proxy:
        self._client = new_client()
        self._inside: dict[str, tuple[Inside, aiohttp.ClientSession]] = {}
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self._client, *(client for _, client in self._inside.values())):
            await client.close()

    async def _client_for(self, address: tuple[str, int] | Inside) -> aiohttp.ClientSession:
        """A restarted app has a new sandbox; connections to the old one are closed."""
        if not isinstance(address, Inside):
            return self._client
        known, client = self._inside.get(address.app, (None, None))
        if known is address and client is not None:
            return client
        self._inside[address.app] = (address, new_client(InsideConnector(address)))
        if client is not None:
            await client.close()
        return self._inside[address.app][1]

    async def forward(
        self, request: web.Request, address: tuple[str, int] | Inside, user: str, *, shared_site: bool = False
    ) -> web.StreamResponse:
        """Let the app at `address` answer; it reads `user` in `Pcloud-User`. `shared_site`: see `passing_headers`."""
        client = await self._client_for(address)
        url = target(request, address)
        headers = passing_headers(request.headers, shared_site=shared_site)
        headers["Pcloud-User"] = user
        headers["X-Forwarded-Host"], headers["X-Forwarded-Proto"] = request.host, request.scheme
        headers["Host"] = request.host
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(client, request, url, headers)
        body = request.content if request.body_exists else None
        try:
            answer = await client.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable(f"the app does not answer ({type(error).__name__})") from error
        async with answer:
            return await answered(request, answer, returning_headers(answer.headers))

    async def _websocket(
        self, client: aiohttp.ClientSession, request: web.Request, url: URL, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        protocols = [
            part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if part.strip()
        ]
        plain = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket-")}
        try:
            upstream = await client.ws_connect(url, headers=plain, protocols=protocols, max_msg_size=LARGEST_MESSAGE)
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable(f"the app does not accept a WebSocket here ({type(error).__name__})") from error
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


def new_client(connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    connector = connector or aiohttp.TCPConnector()
    bound_preliminary(connector)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )


def target(request: web.Request, address: tuple[str, int] | Inside) -> URL:
    """Return the request's path, unchanged, at the app's address; raises `Rejected` if it is not a path, such as `http://other/` or `*`."""
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):
        raise Rejected("the request's target is not a path: send GET /path")
    host, port = (address.app, address.port) if isinstance(address, Inside) else address
    return URL.build(scheme="http", host=host, port=port, path=path, query_string=query, encoded=True)


async def answered(
    request: web.Request, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Pass an app's answer on as it arrives, with these headers; raises `Unavailable` if it is not an answer, such as a change of protocol
    without a request."""
    if not 200 <= answer.status <= 999:
        answer.close()
        raise Unavailable(f"the app's answer has the status {answer.status}")
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (OSError, aiohttp.ClientError):
        # The app or the browser has disconnected. Half an answer must not look complete, so the connection is cut.
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
