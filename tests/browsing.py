"""A browser without a window: it keeps each host's cookies and follows redirects from one host of the cloud to the other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

__all__ = ["Browsing", "open_browsing"]

HTML = {"Accept": "text/html"}
MOST_REDIRECTS = 10


class Browsing:
    """`address`: of core's own origin, on this machine. `cookies`: by host and name; a copy of it is a stolen cookie jar."""

    def __init__(self, client: aiohttp.ClientSession, address: str):
        self._client = client
        self.port = urlsplit(address).port
        self.cookies: dict[str, dict[str, str]] = defaultdict(dict)

    def host(self, app: str = "") -> str:
        return f"{app}.localhost:{self.port}" if app else f"localhost:{self.port}"

    def _sent(self, host: str, more: dict[str, str]) -> tuple[dict[str, str], URL]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies[host].items())
        return {"Host": host, **({"Cookie": cookie} if cookie else {}), **more}, URL(f"http://127.0.0.1:{self.port}")

    async def visit(self, address: str) -> tuple[int, str, str]:
        """Open an address in the whole window: status, address and text of where that ends."""
        for _ in range(MOST_REDIRECTS):
            parts = urlsplit(address)
            status, headers, text = await self.ask("GET", parts.netloc, f"{parts.path or '/'}?{parts.query}", HTML)
            if status != 303:
                return status, address, text
            address = urljoin(address, headers["Location"])
        raise AssertionError(f"redirected without end, to {address}")

    async def ask(
        self, method: str, host: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any, str]:
        """One request, as the page of that host makes it."""
        page = {} if method == "GET" else {"Origin": f"http://{host}"}
        sent, base = self._sent(host, page | (headers or {}))
        url = URL(f"{base}{path}", encoded=True)
        async with self._client.request(method, url, headers=sent, allow_redirects=False, **more) as answer:
            for name, morsel in answer.cookies.items():
                self.cookies[host][name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[host][name]
            return answer.status, answer.headers, await answer.text()

    async def status(self, app: str = "") -> int:
        """What a script of that origin gets, without being sent to sign in."""
        return (await self.ask("GET", self.host(app), "/api/status" if app == "console" else "/"))[0]

    async def websocket(self, app: str = "", path: str = "/graphql", **more: Any) -> aiohttp.ClientWebSocketResponse:
        """Opened, and with GraphQL's protocol begun."""
        host = self.host(app)
        sent, base = self._sent(host, {"Origin": f"http://{host}"})
        socket = await self._client.ws_connect(f"{base}{path}", headers=sent, **more)
        if more.get("protocols"):
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
        return socket

    def stolen(self) -> Browsing:
        """Somebody else's browser with a copy of all cookies."""
        thief = Browsing(self._client, f"http://localhost:{self.port}")
        for host, cookies in self.cookies.items():
            thief.cookies[host] = dict(cookies)
        return thief


@asynccontextmanager
async def open_browsing(address: str) -> AsyncIterator[Browsing]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield Browsing(client, address)


async def closed(socket: aiohttp.ClientWebSocketResponse, seconds: float = 10) -> None:
    """Wait until the other side has closed it."""
    async with asyncio.timeout(seconds):
        while not socket.closed:
            if (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return
