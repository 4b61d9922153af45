"""Core's own origin: the API, the sign-in page, the owner's front page, `/metrics` and `/healthz`.

Without credentials it serves only the sign-in page and `/healthz`, which says only that the node is up, and whether it
works.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from core.front.authentication import Authentication
from core.front.console import CONSOLE
from core.front.graph_endpoint import GraphEndpoint
from core.front.ingress.account import SIGN_OUT
from core.front.ingress.app_origins import WebApps
from core.front.ingress.hosts import Domains
from core.front.ingress.pages import sealed_policy
from core.front.ingress.signin import SignIn
from core.front.metrics import Metrics
from pcloud.errors import Forbidden, NotFound

__all__ = ["OwnOrigin"]

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


class OwnOrigin:
    """`problem`: why the node takes no writes or starts no runs; '' if it does."""

    def __init__(
        self,
        authentication: Authentication,
        graph: GraphEndpoint,
        sign_in: SignIn,
        domains: Domains,
        apps: WebApps,
        metrics: Metrics | None = None,
        problem: Callable[[], str] = lambda: "",
    ) -> None:
        self._authentication, self._graph, self._sign_in = authentication, graph, sign_in
        self._domains, self._apps, self._metrics, self._problem = domains, apps, metrics, problem

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request to this origin."""
        path = request.path
        if request.headers.get("Service-Worker"):
            raise Forbidden("service workers are not served here: one would see what other pages of this origin send")
        if path == "/healthz":
            return web.json_response({"up": True, "works": not self._problem()}, status=503 if self._problem() else 200)
        if path == "/signin":
            return await self._signing_in(request)
        if path == "/metrics" and self._metrics is not None:
            await self._authentication.may_watch(request)
            return await self._metrics.answer(request)
        caller = await self._authentication.caller(request)
        if path == "/graphql":
            return await self._graph.answer(request, caller)
        if path.startswith("/graphql/"):
            return await self._graph.answer(request, replace(caller, through=path.removeprefix("/graphql/")))
        caller.demand("view")
        if path == "/":
            return self._front_page(request)
        raise NotFound(f"there is nothing at {path}: the API is at /graphql, each app at its own address")

    async def _signing_in(self, request: web.Request) -> web.StreamResponse:
        answer = await (self._sign_in.submit(request) if request.method == "POST" else self._sign_in.page(request))
        if answer.status == 403:
            await self._authentication.wrong(request, "credential, or a link that was used or is too old")
        return answer

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
