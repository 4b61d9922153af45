"""Who may use the console, and which parts of the administration it offers to a browser.

Every page needs the owner's session at this origin. Its API also accepts only the console's own pages: an app's page
or a foreign site's is refused, although the browser would send the cookie from an app's origin of the same site.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from yarl import URL

from core.access.caller import OWNER, Caller
from core.aiohttp_private import handle
from core.front.console.files import BuiltPage
from core.front.ingress.hosts import acts, same_origin, wants_page
from core.front.ingress.lasting import Lasting
from core.front.ingress.signin import SignIn
from core.graph.api import Api
from pcloud.errors import Forbidden, NotFound, Rejected

__all__ = ["CONSOLE", "Console"]

CONSOLE = "console"
# The administration socket's other routes are for the machine's own user: bus credentials, sign-in links, work on the whole graph.
OFFERED = frozenset({"apps", "call", "devices", "replay", "runs", "status"})
# Archives are excepted: they are streamed to the disk.
LARGEST_BODY = 64 * 2**20
NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Console:
    """`admin`: an application with the administration's routes, made for this console."""

    def __init__(
        self, *, api: Api, admin: web.Application, sign_in: SignIn, lasting: Lasting, page: BuiltPage | None = None
    ):
        self._api = api
        self._admin = admin
        self._sign_in = sign_in
        self._lasting = lasting
        self._page = page or BuiltPage()
        admin.pre_freeze()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request to the console's origin."""
        if request.path == "/_pcloud/signin":
            return self._sign_in.app_entry(request)
        if (session := self._sign_in.session(request)) is None:
            return self._signed_out(request)
        if request.path.startswith("/api/"):
            return await self._answer(request, session.id)
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
        return self._page.file(request)

    def _signed_out(self, request: web.Request) -> web.StreamResponse:
        if wants_page(request):
            raise self._sign_in.from_app(request)
        error = {"message": "sign in first: open the console in a browser", "extensions": {"code": "UNAUTHENTICATED"}}
        return web.json_response({"errors": [error]}, status=401, headers=NEVER_KEPT)

    async def _answer(self, request: web.Request, session: str) -> web.StreamResponse:
        if not from_own_page(request):
            raise Forbidden("this request does not come from the console's own page, so it may not use your session")
        path = request.rel_url.raw_path.removeprefix("/api")
        if path == "/graphql" and request.method == "POST":
            response = await self._api.http(request, replace(OWNER, session=session))
        else:
            with self._lasting.request(lambda: self._sign_in.runs(session)):
                response = await self._stay(request, path, replace(OWNER, session=session))
        if not response.prepared:
            response.headers.update(NEVER_KEPT)
        return response

    async def _stay(self, request: web.Request, path: str, caller: Caller) -> web.StreamResponse:
        """Serve lasting requests: a websocket, and answers of the administration that come line by line."""
        if path != "/graphql":
            return await self._administer(request, path)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        return await self._api.http(request, caller)

    async def _administer(self, request: web.Request, path: str) -> web.StreamResponse:
        if path.split("/")[1] not in OFFERED:
            raise NotFound(f"the console offers nothing at {path}: use `pcloud` on the machine itself")
        if "unconfined" in request.query:
            raise Rejected("an app without a sandbox is installed on the machine itself: `pcloud app install`")
        address = URL.build(path=path, query_string=request.rel_url.raw_query_string, encoded=True)
        inner = request.clone(
            rel_url=address, scheme=request.scheme, remote=request.remote or "", client_max_size=LARGEST_BODY
        )
        return await handle(self._admin, inner)


def from_own_page(request: web.Request) -> bool:
    """Return True if a page of this origin sends the request, according to the browser; requests that change something must say so."""
    return same_origin(request) and (not acts(request) or "Origin" in request.headers)
