"""An app's own web pages: serves them on loopback and knows the visitor.

Core signs people in and forwards their requests with the header `Pcloud-User`, signed for this app and for a short
time. A request without it is refused. What a handler asks of core while it answers, it asks on behalf of that visitor.
This module reads no cookies and no passwords: core has removed them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pcloud.context import USER_HEADER, visited
from pcloud.environment import Environment
from pcloud.errors import Forbidden, Rejected, Unavailable

if TYPE_CHECKING:
    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["USER_HEADER", "User", "application", "serve_web", "sign_user", "user_of", "verify_user"]


@dataclass(frozen=True, slots=True)
class User:
    """The visitor. `actor`: `person:<id>` or `device:<id>`. `expires`: unix seconds until which the header is valid for
    a new request. `visit`: the token by which PCloud recognises the request."""

    actor: str
    app: str
    expires: float
    visit: str = ""


def sign_user(key: bytes, user: User) -> str:
    """The header's value: base64url(JSON) "." base64url(HMAC-SHA-256 of the first part's bytes)."""
    claims = {"sub": user.actor, "app": user.app, "exp": int(user.expires), "visit": user.visit}
    body = _encode(msgspec.json.encode(claims))
    return f"{body}.{_encode(hmac.digest(key, body.encode(), hashlib.sha256))}"


def verify_user(key: bytes, header: str, app: str, now: float | None = None) -> User:
    """The visitor that the header names; raises `Forbidden` if it is missing, forged, expired or signed for another
    app."""
    body, _, signature = header.partition(".")
    try:
        given = _decode(signature)
        if not key or not hmac.compare_digest(given, hmac.digest(key, body.encode(), hashlib.sha256)):
            raise Forbidden(f"the header {USER_HEADER} is not signed by this node: reach the app through PCloud")
        claims: dict[str, Any] = msgspec.json.decode(_decode(body), type=dict[str, Any])
        user = User(str(claims["sub"]), str(claims["app"]), float(claims["exp"]), str(claims.get("visit", "")))
    except (binascii.Error, msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
        raise Forbidden(f"the header {USER_HEADER} can't be read: reach the app through PCloud") from error
    if user.app != app:
        raise Forbidden(f"the header {USER_HEADER} was signed for another app than {app}")
    if user.expires < (time.time() if now is None else now):
        raise Forbidden(f"the header {USER_HEADER} has expired: load the page again")
    return user


def user_of(request: web.Request, environment: Environment) -> User:
    """Like `verify_user`, but raises HTTP 403."""
    from aiohttp import web

    key = environment.web_key_file.read_bytes() if environment.web_key_file else b""
    try:
        return verify_user(key, request.headers.get(USER_HEADER, ""), environment.name)
    except Forbidden as error:
        raise web.HTTPForbidden(text=error.message) from error


def application(environment: Callable[[], Environment], unsigned: Collection[Any]) -> web.Application:
    """A web application that answers HTTP 403 to requests without PCloud's signature, except for the handlers in
    `unsigned`."""
    from aiohttp import web

    @web.middleware
    async def signed(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            user_of(request, environment())
        except web.HTTPForbidden:
            if request.match_info.handler not in unsigned:
                raise
            return await handler(request)
        with visited(request.headers[USER_HEADER]):
            return await handler(request)

    return web.Application(middlewares=[signed])


@asynccontextmanager
async def serve_web(application: web.Application, port: int) -> AsyncGenerator[None, None]:
    """Serve on 127.0.0.1:`port` within this block; running requests then have five seconds to finish."""
    from aiohttp import web

    if not port:
        raise Rejected("the app has web pages but no PORT: set `web: true` under `run` in app.yaml")
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise Unavailable(f"port {port} can't be listened on: {error}") from error
        yield
    finally:
        await runner.cleanup()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
