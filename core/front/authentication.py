"""Who sends a request to core's own origin: by bearer token, or by session from a page of this origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from core.access.caller import OWNER, Caller
from core.front.ingress.hosts import acts, same_origin, wants_page
from core.front.ingress.signin import SignIn
from core.people.owner.attempts import Attempts
from pcloud.errors import Forbidden

__all__ = ["Authentication", "Refused"]

# Receives refusals: the app whose page was requested ('' for core's own), the path, and the reason.
Refused = Callable[[str, str, str], None]


async def never(token: str) -> bool:
    """No token is valid."""
    return False


class Authentication:
    """`authenticate` returns the caller to whom a bearer token belongs now, or None. `watches` returns True if a token
    is valid for `/metrics` alone."""

    def __init__(
        self,
        authenticate: Callable[[str], Caller | None],
        sign_in: SignIn,
        refused: Refused = lambda app, path, why: None,
        watches: Callable[[str], Awaitable[bool]] = never,
    ) -> None:
        self._authenticate, self._sign_in, self._refused, self._watches = authenticate, sign_in, refused, watches
        self._attempts = Attempts()

    async def caller(self, request: web.Request) -> Caller:
        """Return the sender. Raises `Forbidden`, `HTTPUnauthorized`, and for a browser the way to the sign-in page."""
        if token := bearer(request):
            if caller := self._authenticate(token):
                return caller
            await self.wrong(request, "bearer token")
        if not request.headers.get("Authorization") and (session := self._sign_in.session(request)):
            if acts(request) and not same_origin(request):
                raise Forbidden("this request comes from a page of another site, which may not use your session")
            return replace(OWNER, session=session.id)
        if wants_page(request):
            raise web.HTTPSeeOther("/signin")
        raise web.HTTPUnauthorized(
            text='{"errors":[{"message":"credentials are needed: send Authorization: Bearer TOKEN, or sign in",'
            '"extensions":{"code":"UNAUTHENTICATED"}}]}',
            content_type="application/json",
            headers={"WWW-Authenticate": 'Bearer realm="pcloud"'},
        )

    async def may_watch(self, request: web.Request) -> None:
        """Raises as `caller` does, or `Forbidden`, unless the sender may read `/metrics`."""
        if not await self._watches(bearer(request)):
            (await self.caller(request)).demand("view")

    def still(self, request: web.Request, caller: Caller) -> bool:
        """Return True if the caller of a request that lasts may still be here."""
        if caller.session:
            return self._sign_in.runs(caller.session)
        now = self._authenticate(bearer(request))
        return now is not None and (now.kind, now.name) == (caller.kind, caller.name)

    async def wrong(self, request: web.Request, credential: str) -> None:
        """Record a wrong credential, and wait until the answer may be sent."""
        self._refused("", request.path, f"a wrong {credential}, from {request.remote}")
        await self._attempts.slow(request.remote, credential)


def bearer(request: web.Request) -> str:
    """Return the request's bearer token; '' without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
