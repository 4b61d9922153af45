"""Signs browsers in and out: by a one-time link, by the owner's credential, and from core's origin to an app's.

A browser without a session at an app's origin is sent to core's origin; once signed in there, it returns with a code
for that app's host and this browser. A cookie is never shared between hosts; all cookies of a browser belong to one
session.
"""

from __future__ import annotations

import asyncio
import html
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlsplit

from aiohttp import web

from core.front.ingress.account import signed_out_page
from core.front.ingress.hosts import Domains, port_of, same_origin
from core.front.ingress.pages import sealed_policy
from core.people.owner.credential import credential_name
from core.people.owner.session import Sessions
from core.people.owner.statement import WAY_SECONDS, Statements, cookies_named, way_of
from pcloud.errors import NotFound
from projections.directory import Session

__all__ = ["SignIn"]

LARGEST_FORM = 16 * 2**10
FORM_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sign in · PCloud</title><style>
:root{{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}}body{{margin:0;min-height:100dvh;display:grid;place-items:center;
background:light-dark(#f4f5f7,#14161a)}}form{{background:light-dark(#fff,#1e2127);padding:2rem;border-radius:1rem;width:min(22rem,86vw);
box-shadow:0 1px 12px #0002}}h1{{margin:0 0 .5rem;font-size:1.4rem}}p{{margin:.2rem 0 1rem;opacity:.8}}
label{{display:block;font-weight:600}}
input{{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.3rem 0 1rem;border:1px solid #8888;border-radius:.5rem;
background:transparent;color:inherit}}button{{font:inherit;font-weight:600;width:100%;padding:.7rem;border:0;border-radius:.5rem;
background:#2563eb;color:#fff;cursor:pointer}}.wrong{{color:light-dark(#b00020,#ff8a95);opacity:1}}
</style><form method="post" action="/signin"><h1>Sign in to your cloud</h1>{note}
<input type="hidden" name="next" value="{next}"><label for="token">Owner's credential</label>
<input id="token" name="token" type="password" autocomplete="current-password" autofocus required>
<button>Sign in</button></form></html>"""
HINT = "<p>Use the credential that was shown when this cloud was first started, or open the link that <code>pcloud up</code> prints.</p>"


class SignIn:
    """`verify` returns True if a text is the owner's credential."""

    def __init__(
        self, sessions: Sessions, statements: Statements, domains: Domains, verify: Callable[[str], Awaitable[bool]]
    ):
        self._sessions = sessions
        self._statements = statements
        self._domains = domains
        self._verify = verify

    def session(self, request: web.Request) -> Session | None:
        """Return the running session of the browser at this origin, if it has one."""
        return next(self._of(request), None)

    def runs(self, session: str) -> bool:
        return self._sessions.running(session) is not None

    def _of(self, request: web.Request) -> Iterator[Session]:
        for value in self._cookies(request, self._statements.session_cookie(request.secure)):
            session = self._sessions.use(self._statements.session_in(value, request.host))
            if session is not None:
                yield session

    @staticmethod
    def _cookies(request: web.Request, name: str) -> Iterator[str]:
        return cookies_named(request.headers.getall("Cookie", []), name)

    # --- in ----------------------------------------------------------------------------------------------------------------------

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET on core's origin: redeem a link's code, continue to the app if signed in, or ask for the credential."""
        target = self.checked_target(request, request.query.get("next", ""))
        if code := request.query.get("code"):
            credential = self._sessions.credential
            id = self._statements.link_in(code, request.host, credential)
            if id and (session := await self._begin(request, credential, id)):
                raise self._entered(request, target, session)
            return self._ask(
                request,
                target,
                '<p class="wrong">That link was used already or is too old. Use the credential instead.</p>',
                403,
            )
        if session := self.session(request):
            raise web.HTTPSeeOther(self.onward(target, request.query.get("way", ""), session))
        return self._ask(request, target, HINT, 200)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST of the form. A wrong credential, or a wrong code of a link, answers 403."""
        if not same_origin(request):
            raise web.HTTPForbidden(text="this form was sent from another site's page")
        form = await read_form(request)
        target = self.checked_target(request, form.get("next", ""))
        token = form.get("token", "").strip()
        session = None
        if await self._verify(token):
            session = await self._begin(request, credential_name(token))
        if session is None:
            return self._ask(
                request,
                target,
                '<p class="wrong">That is not this cloud’s credential. Check it and try again.</p>',
                403,
            )
        raise self._entered(request, target, session)

    async def _begin(self, request: web.Request, credential: str, id: str = "") -> Session | None:
        """Begin a new session and end the ones that the request brings, as a browser has one session."""
        before = [session.id for session in self._of(request)]
        return await self._sessions.begin(request.headers.get("User-Agent", ""), credential, id, replacing=before)

    def app_entry(self, request: web.Request) -> web.StreamResponse:
        """GET `/_pcloud/signin` on an app's origin: a code from core's origin becomes this host's cookie."""
        path = request.query.get("path", "/")
        # Browsers read `//` and `/\\` as another host's address, and drop tabs and line ends first.
        path = path if path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() else "/"
        code = request.query.get("code", "")
        for secret in self._cookies(request, self._statements.way_cookie(request.secure)):
            id = self._statements.entry_in(code, request.host, way_of(secret))
            if (session := self._sessions.use(id)) is not None:
                raise self._entered(request, path, session)
        if self.session(request) is not None:
            raise web.HTTPSeeOther(path)
        raise self.from_app(request, path)

    def from_app(self, request: web.Request, path: str | None = None) -> web.HTTPSeeOther:
        """Send a browser without a session at an app's origin to core's, with a secret by which it is recognized when it returns."""
        name = self._statements.way_cookie(request.secure)
        # Two pages that are opened at the same time use the same secret.
        secret = next(self._cookies(request, name), "") or secrets.token_urlsafe(24)
        target = f"{request.scheme}://{request.host}{path or request.path_qs}"
        answer = web.HTTPSeeOther(
            f"{self._domains.address(request)}signin?next={quote(target, safe='')}&way={way_of(secret)}"
        )
        answer.headers["Cache-Control"] = "no-store"
        self._set_cookie(request, answer, name, secret, WAY_SECONDS)
        return answer

    def checked_target(self, request: web.Request, target: str) -> str:
        """`target` if it is a page of this cloud, else core's own front page: signing in never leads elsewhere.

        Another port of this machine is elsewhere too: who listens there would get a code, and could bring it here under that host.
        """
        try:
            parts = urlsplit(target)
        except ValueError:  # such as an address with half a bracket
            return "/"
        ours = parts.scheme == request.scheme and self._domains.app_of(parts.netloc) is not None
        return target if ours and port_of(parts.netloc) == port_of(request.host) else "/"

    def onward(self, target: str, way: str, session: Session) -> str:
        """Return where a signed-in browser goes next: to an app's origin with a code, if it comes from there."""
        parts = urlsplit(target)
        if not way or not parts.netloc or not self._domains.app_of(parts.netloc):
            return target
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        code = self._statements.entry_code(parts.netloc, session.id, way)
        return f"{parts.scheme}://{parts.netloc}/_pcloud/signin?code={code}&path={quote(path or '/', safe='')}"

    def _entered(self, request: web.Request, location: str, session: Session) -> web.HTTPSeeOther:
        answer = web.HTTPSeeOther(location)
        answer.headers["Cache-Control"] = "no-store"  # its address holds a code, its answer a session
        value = self._statements.session_value(session.id, request.host)
        name = self._statements.session_cookie(request.secure)
        self._set_cookie(request, answer, name, value, int(session.expires - time.time()))
        return answer

    # --- out ---------------------------------------------------------------------------------------------------------------------

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """POST on any origin, from a page of that origin: the session ends on all origins."""
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        if not same_origin(request) or "Origin" not in request.headers:
            raise web.HTTPForbidden(text="this request was sent from another site's page, which may not sign you out")
        for session in list(self._of(request)):
            with suppress(NotFound):  # it has just been ended elsewhere
                await self._sessions.end(session.id)
        answer = signed_out_page(self._domains.address(request))
        self._set_cookie(request, answer, self._statements.session_cookie(request.secure), "", 0)
        return answer

    @staticmethod
    def _set_cookie(request: web.Request, answer: web.StreamResponse, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="Lax", secure=request.secure, path="/")

    def _ask(self, request: web.Request, target: str, note: str, status: int) -> web.StreamResponse:
        text = PAGE.format(next=html.escape(target), note=note)
        # Browsers also apply `form-action` to the redirects that follow, and those lead to an app's origin.
        targets = f"'self' {request.scheme}://*.{self._domains.of(request.host)}:*"
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": sealed_policy(text, targets)}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the first value of each field; raises HTTP's errors if the request is not a small form."""
    if request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(text=f"send the form as {FORM}")
    try:
        async with asyncio.timeout(FORM_SECONDS):
            raw = b""
            while piece := await request.content.read(LARGEST_FORM + 1 - len(raw)):
                raw += piece
                if len(raw) > LARGEST_FORM:
                    raise web.HTTPRequestEntityTooLarge(LARGEST_FORM, len(raw), text="the form is too large")
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the form did not arrive in time") from error
    try:
        fields = parse_qs(raw.decode("utf-8", "surrogateescape"), max_num_fields=20, errors="surrogateescape")
    except ValueError as error:
        raise web.HTTPBadRequest(text="this is not the form") from error
    return {name: values[0] for name, values in fields.items()}
