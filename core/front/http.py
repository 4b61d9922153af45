"""The node's web server: passes each request to the origin for which it came, and turns errors into HTTP answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from aiohttp import HttpVersion11, web

from core.front.answer_headers import TO_OURSELVES, FrontRequest
from core.front.authentication import Refused
from core.front.ingress.account import SIGN_OUT, error_page
from core.front.ingress.app_origins import AppOrigins
from core.front.ingress.forwarded import TrustedProxies
from core.front.ingress.hosts import Domains, from_elsewhere, wants_page
from core.front.ingress.signin import SignIn
from core.front.own_origin import OwnOrigin
from pcloud.errors import Forbidden, PCloudError, Rejected

__all__ = ["Front", "client_closed", "error_response", "hung_up"]

CLIENT_CLOSED = 499  # nginx's number
LARGEST_BODY = 2**40  # bodies are streamed to apps, which set their own bounds; the API has a small bound


class Origin(Protocol):
    async def handle(self, request: web.Request) -> web.StreamResponse: ...


class Front:
    """`named`: the origins that are neither core's own nor an app's, by name."""

    def __init__(
        self,
        domains: Domains,
        own: OwnOrigin,
        named: Mapping[str, Origin],
        apps: AppOrigins,
        sign_in: SignIn,
        refused: Refused = lambda app, path, why: None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._domains, self._own, self._named, self._apps = domains, own, named, apps
        self._sign_in, self._refused, self._proxies = sign_in, refused, proxies or TrustedProxies()

    def runner(self, **settings: Any) -> web.ServerRunner:
        """A runner for `web.TCPSite`, without a `web.Application`: routes are decided here, and the application's
        router and signals would cost each request a tenth of its time. `settings`: the runner's own."""
        loop = asyncio.get_running_loop()

        def arriving(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> FrontRequest:
            peer, *_ = protocol.peername or ("",)
            told = self._proxies.forwarded(peer, message.headers)
            return FrontRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY, **told)

        serve: Any = self.serve  # its requests are made by `arriving`
        # Bodies stay as they were sent: an object that is compressed is to be stored so.
        server = web.Server(serve, request_factory=arriving, access_log=None, auto_decompress=False)
        return web.ServerRunner(server, **settings)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer any request. The one place where an error outside GraphQL becomes an HTTP answer."""
        try:
            if "Expect" in request.headers:
                await go_on(request)
            return await self.handle(request)
        except PCloudError as error:
            if wants_page(request):
                return error_page(error, self._domains.address(request))
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
        if request.secure:
            request[TO_OURSELVES] = True
        self._domains.check(request)
        try:
            if from_elsewhere(request):
                raise Forbidden("this request comes from a page of another origin, which may only link to this page")
            if request.path == SIGN_OUT:
                return await self._sign_in.leave(request)
            if app in self._named:
                return await self._named[app].handle(request)
            return await (self._apps.handle(request, app) if app else self._own.handle(request))
        except (Forbidden, web.HTTPForbidden) as error:
            self._refused(app, request.path, getattr(error, "message", "") or getattr(error, "text", "") or "forbidden")
            raise


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
