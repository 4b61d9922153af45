"""The origin of each app: core's own paths below `/_pcloud/`, then the app's pages through the proxy."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from aiohttp import web

from core.access.caller import OWNER
from core.apps.sandbox.inside import Inside
from core.front.console import CONSOLE
from core.front.graph_endpoint import GraphEndpoint
from core.front.ingress.account import account_page
from core.front.ingress.hosts import Domains, acts, same_origin, wants_page
from core.front.ingress.lasting import Lasting
from core.front.ingress.proxy import Proxy
from core.front.ingress.signin import SignIn
from core.front.ingress.visits import Visits
from pcloud.errors import Forbidden, NotFound, Unavailable
from projections.directory import Session

__all__ = ["AppOrigins", "WebApps"]


class WebApps(Protocol):
    """What the web server needs to know about the installed apps."""

    def web_address(self, name: str) -> tuple[str, int] | Inside | None: ...
    def web_key(self, name: str) -> bytes: ...
    def web_names(self) -> list[tuple[str, str, str]]:
        """Name, title and author of each app that has a page."""
        ...


class AppOrigins:
    def __init__(
        self,
        apps: WebApps,
        sign_in: SignIn,
        proxy: Proxy,
        visits: Visits,
        lasting: Lasting,
        domains: Domains,
        graph: GraphEndpoint,
    ) -> None:
        self._apps, self._sign_in, self._proxy, self._visits = apps, sign_in, proxy, visits
        self._lasting, self._domains, self._graph = lasting, domains, graph

    async def handle(self, request: web.Request, app: str) -> web.StreamResponse:
        """Answer any request to the origin of `app`."""
        if request.path == "/_pcloud/signin":
            return self._sign_in.app_entry(request)
        if (session := self._sign_in.session(request)) is None:
            if wants_page(request):
                raise self._sign_in.from_app(request)
            raise web.HTTPUnauthorized(text="sign in first: open this address in a browser")
        if acts(request) and not same_origin(request):
            raise Forbidden("this request comes from a page of another site, which may not use your session")
        if request.path == "/_pcloud/graphql":
            return await self._graph.answer(request, replace(OWNER, through=app, session=session.id))
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
