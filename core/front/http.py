"""The node's web server: determines the origin and the caller of each request, then passes it to the API or to an app.

Without credentials it serves only the sign-in page and `/healthz`, which says only that the node is up, and whether it
works.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from aiohttp import HttpVersion11, web

from core.access.caller import OWNER, Caller
from core.apps.sandbox.inside import Inside
from core.front.answer_headers import FrontRequest
from core.front.console import CONSOLE, Console
from core.front.ingress.account import SIGN_OUT, account_page
from core.front.ingress.hosts import Domains, acts, from_elsewhere, same_origin
from core.front.ingress.lasting import Lasting
from core.front.ingress.pages import sealed_policy
from core.front.ingress.proxy import Proxy
from core.front.ingress.signin import SignIn
from core.front.ingress.visits import Visits
from core.front.metrics import Metrics
from core.graph.api import Api
from core.people.owner.attempts import Attempts
from pcloud.errors import Forbidden, NotFound, PCloudError, Rejected, Unavailable
from projections.directory import Session

__all__ = ["Front", "WebApps", "client_closed", "error_response", "hung_up"]

log = logging.getLogger("pcloud.http")
CLIENT_CLOSED = 499  # nginx's number
LARGEST_BODY = 2**40  # bodies are streamed to apps, which set their own bounds; the API has a small bound

# Receives refusals: the app whose page was requested ('' for core's own), the path, and the reason.
Refused = Callable[[str, str, str], None]


async def never(token: str) -> bool:
    """No token is valid."""
    return False


def bearer(request: web.Request) -> str:
    """Return the request's bearer token; '' without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class WebApps(Protocol):
    """What the web server needs to know about the installed apps."""

    def web_address(self, name: str) -> tuple[str, int] | Inside | None: ...
    def web_key(self, name: str) -> bytes: ...
    def web_names(self) -> list[tuple[str, str, str]]:
        """Name, title and author of each app that has a page."""
        ...


class Front:
    """`authenticate` returns the caller to whom a bearer token belongs now, or None. `watches` returns True if a token
    is valid for `/metrics` alone. `problem`: why the node takes no writes or starts no runs; '' if it does."""

    def __init__(
        self,
        *,
        api: Api,
        apps: WebApps,
        sign_in: SignIn,
        proxy: Proxy,
        visits: Visits,
        console: Console,
        domains: Domains,
        authenticate: Callable[[str], Caller | None],
        lasting: Lasting,
        refused: Refused = lambda app, path, why: None,
        metrics: Metrics | None = None,
        watches: Callable[[str], Awaitable[bool]] = never,
        problem: Callable[[], str] = lambda: "",
    ):
        self._api = api
        self._apps = apps
        self._sign_in = sign_in
        self._proxy = proxy
        self._visits = visits
        self._console = console
        self._domains = domains
        self._authenticate = authenticate
        self._lasting = lasting
        self._refused = refused
        self._metrics = metrics
        self._watches = watches
        self._problem = problem
        self._attempts = Attempts()

    def runner(self, **settings: Any) -> web.ServerRunner:
        """A runner for `web.TCPSite`, without a `web.Application`: routes are decided here, and the application's
        router and signals would cost each request a tenth of its time. `settings`: the runner's own."""
        loop = asyncio.get_running_loop()

        def arriving(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> FrontRequest:
            return FrontRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)

        serve: Any = self.serve  # its requests are made by `arriving`
        return web.ServerRunner(web.Server(serve, request_factory=arriving, access_log=None), **settings)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer any request. The one place where an error outside GraphQL becomes an HTTP answer."""
        try:
            if "Expect" in request.headers:
                await go_on(request)
            return await self.handle(request)
        except PCloudError as error:
            return error_response(error)
        except (ConnectionError, web.RequestPayloadError):
            if not hung_up(request):
                raise
            return client_closed()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        app = self._domains.app_of(request.host)
        if app is None:
            self._refused("", request.path, f"came for the host {request.host!r}, which is not ours")
            domain = self._domains.first
            raise Rejected(f"{request.host!r} is not an address of this cloud: use {domain} or APP.{domain}")
        try:
            if from_elsewhere(request):
                raise Forbidden("this request comes from a page of another origin, which may only link to this page")
            if request.path == SIGN_OUT:
                return await self._sign_in.leave(request)
            if app == CONSOLE:
                return await self._console.handle(request)
            return await (self._app_origin(request, app) if app else self._own_origin(request))
        except (Forbidden, web.HTTPForbidden) as error:
            self._refused(app, request.path, getattr(error, "message", "") or getattr(error, "text", "") or "forbidden")
            raise

    async def _own_origin(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.headers.get("Service-Worker"):
            raise Forbidden("service workers are not served here: one would see what other pages of this origin send")
        if path == "/healthz":
            return web.json_response({"up": True, "works": not self._problem()}, status=503 if self._problem() else 200)
        if path == "/signin":
            return await self._signing_in(request)
        if path == "/metrics" and self._metrics is not None:
            if not await self._watches(bearer(request)):
                (await self._caller(request)).demand("view")
            return await self._metrics.answer(request)
        caller = await self._caller(request)
        if path == "/graphql":
            return await self._graph(request, caller)
        if path.startswith("/graphql/"):
            return await self._graph(request, replace(caller, through=path.removeprefix("/graphql/")))
        caller.demand("view")
        if path == "/":
            return self._front_page(request)
        raise NotFound(f"there is nothing at {path}: the API is at /graphql, each app at its own address")

    async def _signing_in(self, request: web.Request) -> web.StreamResponse:
        answer = await (self._sign_in.submit(request) if request.method == "POST" else self._sign_in.page(request))
        if answer.status == 403:
            await self._wrong(request, "credential, or a link that was used or is too old")
        return answer

    async def _wrong(self, request: web.Request, credential: str) -> None:
        """Record a wrong credential, and wait until the answer may be sent."""
        self._refused("", request.path, f"a wrong {credential}, from {request.remote}")
        await self._attempts.slow(request.remote, credential)

    async def _caller(self, request: web.Request) -> Caller:
        """Return the caller at core's own origin: by bearer token, or by session from a page of this origin."""
        if token := bearer(request):
            if caller := self._authenticate(token):
                return caller
            await self._wrong(request, "bearer token")
        if not request.headers.get("Authorization") and (session := self._sign_in.session(request)):
            if acts(request) and not same_origin(request):
                raise Forbidden("this request comes from a page of another site, which may not use your session")
            return replace(OWNER, session=session.id)
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther("/signin")
        raise web.HTTPUnauthorized(
            text='{"errors":[{"message":"credentials are needed: send Authorization: Bearer TOKEN, or sign in",'
            '"extensions":{"code":"UNAUTHENTICATED"}}]}',
            content_type="application/json",
            headers={"WWW-Authenticate": 'Bearer realm="pcloud"'},
        )

    async def _graph(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """A GraphQL answer is short; a websocket lasts as long as its caller may be here."""
        if "Upgrade" not in request.headers:
            return await self._api.http(request, caller)
        with self._lasting.request(lambda: self._still(request, caller)):
            return await self._api.http(request, caller)

    def _still(self, request: web.Request, caller: Caller) -> bool:
        if caller.session:
            return self._sign_in.runs(caller.session)
        now = self._authenticate(bearer(request))
        return now is not None and (now.kind, now.name) == (caller.kind, caller.name)

    async def _app_origin(self, request: web.Request, app: str) -> web.StreamResponse:
        if request.path == "/_pcloud/signin":
            return self._sign_in.app_entry(request)
        if (session := self._sign_in.session(request)) is None:
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                raise self._sign_in.from_app(request)
            raise web.HTTPUnauthorized(text="sign in first: open this address in a browser")
        if acts(request) and not same_origin(request):
            raise Forbidden("this request comes from a page of another site, which may not use your session")
        if request.path == "/_pcloud/graphql":
            return await self._graph(request, replace(OWNER, through=app, session=session.id))
        if request.path == "/_pcloud/" and request.method in ("GET", "HEAD"):
            return self._account(request, app, session)
        if request.path.lstrip("/").partition("/")[0] == "_pcloud":
            raise NotFound(f"there is nothing at {request.path}")
        address = self._apps.web_address(app)
        if address is None:
            raise NotFound(f"no app with pages called {app!r} is running: see `pcloud app list`")
        try:
            visitor = replace(OWNER, session=session.id)
            with (
                self._visits.open(app, self._apps.web_key(app), visitor) as told,
                self._lasting.request(lambda: self._sign_in.runs(session.id)),
            ):
                return await self._proxy.forward(
                    request, address, told, shared_site=self._domains.shared_site(request.host)
                )
        except Unavailable as error:
            raise Unavailable(
                f"the app {app!r} does not answer yet: try again in a moment, or see `pcloud app logs {app}`"
            ) from error

    def _account(self, request: web.Request, app: str, session: Session) -> web.Response:
        titles = {name: title for name, title, *_ in self._apps.web_names()}
        if app not in titles:
            raise NotFound(f"no app with pages called {app!r} is installed: see `pcloud app list`")
        return account_page(
            titles[app], session, self._domains.address(request, CONSOLE), self._domains.address(request)
        )

    def _front_page(self, request: web.Request) -> web.Response:
        console = self._domains.address(request, CONSOLE)
        items = "".join(
            f'<li><a href="{self._domains.address(request, name)}">{html.escape(title)}'
            f"<small>{name}, {html.escape(author)}</small></a>"
            for name, title, author in self._apps.web_names()
        )
        apps = (
            f"<ul>{items}</ul>" if items else "<p>No app with pages is installed yet: install one in the console.</p>"
        )
        body = f'{apps}<p><a href="{console}">Console</a>: your apps, what they may do, and what they did</p>'
        text = FRONT_PAGE.format(body=body, sign_out=SIGN_OUT)
        policy = {"Content-Security-Policy": sealed_policy(text, "'self'"), "Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/html", headers=policy)


FRONT_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>PCloud</title><style>:root{{color-scheme:light dark;font:17px/1.6 system-ui,sans-serif}}
body{{max-width:34rem;margin:12vh auto;padding:0 1.2rem;background:light-dark(#f4f5f7,#14161a)}}h1{{font-size:1.6rem}}
ul{{list-style:none;padding:0;display:grid;gap:.7rem}}li a{{display:block;padding:1rem 1.2rem;border-radius:.8rem;text-decoration:none;
color:inherit;background:light-dark(#fff,#1e2127);box-shadow:0 1px 6px #0002}}
small{{display:block;opacity:.7;overflow-wrap:anywhere}}li a:hover,li a:focus{{outline:2px solid #2563eb}}
footer{{display:flex;gap:1.2rem;justify-content:space-between;align-items:center}}
button{{font:inherit;padding:.45rem 1rem;border:1px solid #8886;border-radius:.5rem;background:none;color:inherit;cursor:pointer}}
</style><h1>Your cloud</h1>{body}<footer><a href="/graphql">Explore the graph</a>
<form method="post" action="{sign_out}"><button>Sign out</button></form></footer></html>"""


def client_closed() -> web.Response:
    """Return an answer that only ends the request."""
    return web.Response(status=CLIENT_CLOSED)


def hung_up(request: web.BaseRequest) -> bool:
    """Return True if the client has closed the connection: what could not be read or written since is no error."""
    return request.transport is None or request.transport.is_closing()


async def go_on(request: web.Request) -> None:
    """Tell a client that sent `Expect: 100-continue` to send its body."""
    if request.version == HttpVersion11:
        if request.headers["Expect"].lower() != "100-continue":
            raise web.HTTPExpectationFailed(text="only `Expect: 100-continue` is supported here")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def error_response(error: PCloudError) -> web.Response:
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    return web.json_response(body, status=error.http_status)
