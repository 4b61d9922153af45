"""The node's front on a real port, before an app's web server that reports what reached it; the API behind it only reports the caller."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from core.access.caller import Caller
from core.front.authentication import Authentication
from core.front.console import CONSOLE, Console
from core.front.console.files import BuiltPage
from core.front.graph_endpoint import GraphEndpoint
from core.front.http import Front
from core.front.ingress.app_origins import AppOrigins
from core.front.ingress.forwarded import TrustedProxies
from core.front.ingress.hosts import Domains
from core.front.ingress.lasting import Lasting
from core.front.ingress.proxy import Proxy
from core.front.ingress.signin import SignIn
from core.front.ingress.visits import Visits
from core.front.own_origin import OwnOrigin
from core.graph.command import EntityChange
from core.people.owner.credential import OWNER, credential_name, token_hash, verify_owner
from core.people.owner.session import Sessions
from core.people.owner.statement import Statements
from projections.directory import Directory, Session
from tests.memory_log import open_memory_directory

__all__ = ["APP_KEY", "TOKEN", "FrontDoor", "open_front"]

TOKEN = "owner_right"
APP_KEY = b"a" * 32
DEVICES = {"device_right": Caller("device", "d1", scopes=frozenset({"manage"}))}


class TellingApi:
    """Answers with the caller that the front determined."""

    async def http(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        return web.json_response({"kind": caller.kind, "name": caller.name, "through": caller.through})


class OneApp:
    """The app `photos` at `address`; the app `asleep` is installed but does not run."""

    def __init__(self, address: tuple[str, int], nowhere: tuple[str, int]):
        self.addresses = {"photos": address, "asleep": nowhere}

    def web_address(self, name: str) -> tuple[str, int] | None:
        return self.addresses.get(name)

    def web_key(self, name: str) -> bytes:
        return APP_KEY

    def web_names(self) -> list[tuple[str, str, str]]:
        return [("photos", "Photos & <more>", "comes with PCloud")]


class FrontDoor:
    """`port`: of the front. `app`: the port of the app `photos` itself. `session`: of the browser that is signed in.
    `first_chunk`: set when the app has received the beginning of an upload. `visits`: the current visitors of the
    app. `refused`: app, path and reason of each refusal."""

    def __init__(
        self,
        port: int,
        app: int,
        directory: Directory,
        sessions: Sessions,
        statements: Statements,
        session: Session,
        client: aiohttp.ClientSession,
        first_chunk: asyncio.Event,
        visits: Visits,
        refused: list[tuple[str, str, str]],
    ):
        self.visits = visits
        self.refused = refused
        self.port = port
        self.app = app
        self.directory = directory
        self.sessions = sessions
        self.statements = statements
        self.session = session
        self.client = client
        self.first_chunk = first_chunk

    def host(self, name: str = "") -> str:
        return f"{name}.localhost:{self.port}" if name else f"localhost:{self.port}"

    def cookie(self, app: str = "") -> str:
        """The signed-in browser's cookie for that host, as it sends it."""
        return f"{self.statements.cookie}={self.statements.session_value(self.session.id, self.host(app))}"

    def link(self, app: str = "") -> str:
        """The path of a link that signs a browser in, if it is tried at that host."""
        return f"/signin?code={self.statements.link_code(self.host(app), credential_name(TOKEN))}"

    def headers(self, app: str, signed_in: bool, extra: dict[str, str]) -> dict[str, str]:
        headers = {"Host": self.host(app)}
        if signed_in:
            headers["Cookie"] = self.cookie(app)
        return headers | extra

    def request(
        self,
        path: str,
        *,
        app: str = "",
        method: str = "GET",
        signed_in: bool = True,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Any:
        """A request as a browser makes it, signed in at that host or not; redirects are not followed."""
        sent = self.headers(app, signed_in, headers or {})
        url = f"http://127.0.0.1:{self.port}{path}"
        return self.client.request(method, url, headers=sent, allow_redirects=False, **more)

    def websocket(
        self, path: str, *, app: str = "", signed_in: bool = True, headers: dict[str, str] | None = None
    ) -> Any:
        sent = self.headers(app, signed_in, headers or {})
        return self.client.ws_connect(f"http://127.0.0.1:{self.port}{path}", headers=sent)


def telling_app(first_chunk: asyncio.Event) -> web.Application:
    """A web server that knows nothing of PCloud."""

    async def told(request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"path": request.path_qs, "headers": [[name.lower(), value] for name, value in request.headers.items()]}
        )

    async def measured(request: web.Request) -> web.StreamResponse:
        total = 0
        async for chunk in request.content.iter_any():
            total += len(chunk)
            first_chunk.set()
        return web.json_response({"bytes": total})

    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(256):
            await response.write(b"x" * 65536)
        return response

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport
        request.transport.abort()
        return response

    async def dies(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("second",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "leave":
                break
            await (socket.send_str if message.type is aiohttp.WSMsgType.TEXT else socket.send_bytes)(message.data)
        return socket

    async def said(request: web.Request) -> web.StreamResponse:
        """Return what the query asks for: a page's text, its type and its headers."""
        response = web.Response(text=request.query["text"], content_type=request.query.get("type", "text/html"))
        response.headers.extend(json.loads(request.query.get("headers", "{}")))
        return response

    application = web.Application(client_max_size=2**40)
    application.router.add_get("/said", said)
    application.router.add_post("/upload", measured)
    application.router.add_get("/large", large)
    application.router.add_get("/endless", endless)
    application.router.add_get("/half", half)
    application.router.add_get("/dies", dies)
    application.router.add_get("/echo", echo)
    application.router.add_route("*", "/{path:.*}", told)
    return application


def built_page(folder: Path) -> BuiltPage:
    """A console of two files."""
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Console</title>")
    (folder / "assets" / "index-1a2b.js").write_text("export {}")
    (folder / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(b"export {}"))
    (folder / ".built-from").write_text("hash")
    return BuiltPage(folder)


def telling_admin() -> web.Application:
    """An administration that only reports the requests it received."""

    async def told(request: web.Request) -> web.StreamResponse:
        return web.json_response({"admin": request.path_qs, "bytes": len(await request.read())})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", told)
    return application


@asynccontextmanager
async def served(application: web.Application | Front) -> AsyncIterator[int]:
    if isinstance(application, Front):
        runner: web.BaseRunner = application.runner(shutdown_timeout=0.5)
    else:
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.5, logger=logging.getLogger("tests.app")
        )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_front(domains: Domains | None = None, proxies: TrustedProxies | None = None) -> AsyncIterator[FrontDoor]:
    domains = domains or Domains("localhost")
    directory, commands, _ = open_memory_directory()
    await commands.write("owner", [EntityChange(OWNER, "add", set={"tokenHash": token_hash(TOKEN)})])
    sessions, statements, lasting = Sessions(directory, commands), Statements(b"k" * 32, "epoch"), Lasting()
    directory.on_changed(lambda changed: lasting.review())
    first_chunk = asyncio.Event()
    refusals: list[tuple[str, str, str]] = []

    async def is_owner(token: str) -> bool:
        return verify_owner(directory, token)

    def refused(app: str, path: str, why: str) -> None:
        refusals.append((app, path, why))

    def authenticate(token: str) -> Caller | None:
        return Caller("person", "owner") if verify_owner(directory, token) else DEVICES.get(token)

    async with served(web.Application()) as nowhere:
        pass  # its port is free again, without a listener
    sign_in = SignIn(sessions, statements, domains, is_owner)
    api: Any = TellingApi()
    visits = Visits()
    session = await sessions.begin("", credential_name(TOKEN))
    assert session
    with tempfile.TemporaryDirectory() as folder:
        page = built_page(Path(folder))
        console = Console(api=api, admin=telling_admin(), sign_in=sign_in, lasting=lasting, page=page)
        async with served(telling_app(first_chunk)) as app, Proxy() as proxy, aiohttp.ClientSession() as client:
            web_apps = OneApp(("127.0.0.1", app), ("127.0.0.1", nowhere))
            authentication = Authentication(authenticate, sign_in, refused)
            graph = GraphEndpoint(api, authentication, lasting)
            front = Front(
                domains,
                OwnOrigin(authentication, graph, sign_in, domains, web_apps),
                {CONSOLE: console},
                AppOrigins(web_apps, sign_in, proxy, visits, lasting, domains, graph),
                sign_in,
                refused,
                proxies,
            )
            async with served(front) as port:
                yield FrontDoor(
                    port, app, directory, sessions, statements, session, client, first_chunk, visits, refusals
                )
