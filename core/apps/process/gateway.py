"""An app's connection to core: a socket of its own, by which core knows the app without a password. In a sandbox it is
a port on the sandbox's loopback, elsewhere a unix socket.

    POST /graphql                     the app's view of the graph
    GET  /graphql                     subscriptions (graphql-transport-ws)
    POST /call/<target>               {"args": {...}}                 200 {"result", "revision"}
    POST /send/<target>               {"args": {...}, "key": "..."}   202 {"id", "revision"}
    POST /callers                                                     200 {"callers": {caller: {action: since}}}
    POST /readiness                   {"reason": "...", "serves"}     200 {}

A target is `app/action`, `role:ROLE/action` or `capability:TOKEN`. Both bodies may have `"actions": {"webhook":
"app/action"}`: actions that are passed on. With the header `Pcloud-User`, as core gave it to the app's own web
server, the request is made by the visitor through the app, otherwise by the app itself. What the caller may do is
decided behind this gateway, not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from core.access.caller import Caller
from core.apps.protocols import Api, Calls, Visits
from pcloud.errors import PCloudError, Rejected, Unavailable
from pcloud.web import USER_HEADER

__all__ = ["AppGateway", "socket_path"]

log = logging.getLogger("pcloud.app")
# sun_path holds 108 bytes, the last of them a NUL.
LONGEST_SOCKET = 107
# The bus takes 1 MiB; the same arguments as a client's JSON may be longer.
LARGEST_BODY = 4 * 2**20
# Bytes that all requests of one app may hold in memory together.
MOST_HELD = 16 * 2**20
BODY_SECONDS = 30.0
LONGEST_TIMEOUT = 3600.0
MOST_CONNECTIONS = 256
LONGEST_REASON = 500
Body = TypeVar("Body", bound=msgspec.Struct)


class CallBody(msgspec.Struct, forbid_unknown_fields=True):
    args: dict[str, Any] = {}
    actions: dict[str, str] = {}
    key: str | None = None


class ReadinessBody(msgspec.Struct, forbid_unknown_fields=True):
    """`reason`: why the app can't answer calls now, '' if it can. `serves`: it answers them all the
    same, and `reason` says what does not work."""

    reason: str
    serves: bool = False


class AppGateway:
    """Use it with `async with`: it listens at `path`, if given, from entry to exit, and serves the connections passed to `serve`.
    `on_readiness` receives the reason for which something does not work, '' if all works; and whether the app answers calls
    all the same."""

    def __init__(
        self, app: str, path: Path | None, api: Api, calls: Calls, visits: Visits,
        on_readiness: Callable[[str, bool], None] = lambda reason, serves: None,
    ):  # fmt: skip
        self._app = app
        self._on_readiness = on_readiness
        self.path = path
        self._api = api
        self._calls = calls
        self._visits = visits
        self._runner: web.AppRunner | None = None
        self._held = 0

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    async def __aenter__(self) -> AppGateway:
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[told])
        application.router.add_route("POST", "/graphql", self._graphql)
        application.router.add_route("GET", "/graphql", self._graphql)
        application.router.add_post("/call/{target:.+}", self._call)
        application.router.add_post("/send/{target:.+}", self._send)
        application.router.add_post("/callers", self._callers)
        application.router.add_post("/readiness", self._readiness)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await self._runner.setup()
        if self.path is not None:
            # A killed node leaves its sockets behind.
            self.path.unlink(missing_ok=True)
            await web.UnixSite(self._runner, self.path).start()
            self.path.chmod(0o600)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            if self.path is not None:
                self.path.unlink(missing_ok=True)

    async def serve(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere; close it if there are too many."""
        server = self._runner.server if self._runner else None
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            connection.close()
        else:
            await asyncio.get_running_loop().connect_accepted_socket(server, connection)

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        return await self._api.http(request, self._caller(request))

    async def _call(self, request: web.Request) -> web.StreamResponse:
        with self._holding(request):
            body = await read_body(request, CallBody)
            answer = await self._calls.call(
                self._asker(request), request.match_info["target"], body.args, actions=body.actions,
                run_token=request.headers.get("Pcloud-Run", ""), revision=request.headers.get("Pcloud-Revision", ""),
                timeout=timeout_of(request), traceparent=request.headers.get("traceparent", ""),
            )  # fmt: skip
        return json_response(200, {"result": answer.result, "revision": answer.revision})

    async def _send(self, request: web.Request) -> web.StreamResponse:
        revision = request.headers.get("Pcloud-Revision", "")
        with self._holding(request):
            body = await read_body(request, CallBody)
            run = await self._calls.send(
                self._asker(request), request.match_info["target"], body.args, actions=body.actions,
                key=body.key, run_token=request.headers.get("Pcloud-Run", ""), revision=revision,
                traceparent=request.headers.get("traceparent", ""),
            )  # fmt: skip
        return json_response(202, {"id": run, "revision": revision})

    async def _callers(self, _: web.Request) -> web.Response:
        return json_response(200, {"callers": self._calls.callers(self._app)})

    async def _readiness(self, request: web.Request) -> web.Response:
        with self._holding(request):
            body = await read_body(request, ReadinessBody)
        self._on_readiness(body.reason[:LONGEST_REASON], body.serves)
        return json_response(200, {})

    @contextlib.contextmanager
    def _holding(self, request: web.Request) -> Generator[None]:
        """Count a request's body while it is worked on; raises `Unavailable` if the app's bodies are too large
        together. It does not wait, because an app may call while it is being called."""
        size = LARGEST_BODY if request.content_length is None and request.body_exists else request.content_length or 0
        if size > LARGEST_BODY:
            raise web.HTTPRequestEntityTooLarge(LARGEST_BODY, size)
        if self._held + size > MOST_HELD:
            raise Unavailable(
                f"{self._app} has calls with more than {MOST_HELD >> 20} MiB of arguments in progress: end some first"
            )
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def _asker(self, request: web.Request) -> Caller:
        """Return the app, or its current visitor; raises `Forbidden` if the visit is not valid."""
        visitor = request.headers.get(USER_HEADER, "")
        if not visitor:
            return Caller("app", self._app)
        if "Pcloud-Run" in request.headers:
            raise Rejected(f"a request is made for a visitor ({USER_HEADER}) or in a run (Pcloud-Run), not both")
        return self._visits.visitor(self._app, visitor)

    def _caller(self, request: web.Request) -> Caller:
        asker, token = self._asker(request), request.headers.get("Pcloud-Run", "")
        return replace(asker, run=self._calls.run(token, self._app)) if token else asker


def socket_path(folder: Path, app: str) -> Path:
    """Return the path of the app's socket; raises `Rejected` if it is too long for a socket."""
    path = folder / f"{app}.sock"
    if len(str(path).encode()) > LONGEST_SOCKET:
        raise Rejected(f"the socket {path} has a path of more than {LONGEST_SOCKET} bytes: use a shorter data folder")
    return path


@web.middleware
async def told(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer errors in the form that the SDK reads."""
    try:
        return await handler(request)
    except PCloudError as error:
        return json_response(error.http_status, {"error": {"code": error.code, "message": error.message}})
    except web.HTTPException as error:
        code = "NOT_FOUND" if error.status == 404 else "REJECTED"
        message = f"{request.method} {request.path}: {error.reason}"
        return json_response(error.status, {"error": {"code": code, "message": message}})
    except Exception:
        log.exception("a request of an app failed: %s %s", request.method, request.path)
        error_body = {"error": {"code": "INTERNAL", "message": "an internal error in core; its log says why"}}
        return json_response(500, error_body)


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError as error:
        raise Rejected(f"the body of {request.path} did not come in time: send it at once") from error
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fields = ", ".join(f'"{field}"' for field in kind.__struct_fields__)
        raise Rejected(f"the body of {request.path} must be a JSON object of {fields}: {error}") from error


def timeout_of(request: web.Request) -> float | None:
    """The seconds that the app is ready to wait; None if it did not say."""
    text = request.headers.get("Pcloud-Timeout", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise Rejected(f"Pcloud-Timeout is {text!r}: it must be seconds, at most {LONGEST_TIMEOUT:.0f}")
    return seconds


def json_response(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
