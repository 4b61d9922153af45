"""The GraphQL API: takes requests from known callers and answers them through their views.

The caller is identified before (`core.front.ingress`, the apps' gateways): nothing here looks at credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson
from aiohttp import hdrs, web
from ariadne.types import Extension

from core.access.caller import Caller
from core.graph.api.errors import error_answer, http_status
from core.graph.api.events import EventHub
from core.graph.api.page import graphiql
from core.graph.api.request_limits import ApiLimits
from core.graph.api.response import respond
from core.graph.api.served import PlatformFields, ServedViews
from core.graph.api.service import Service
from core.graph.api.sources import Sources
from core.graph.api.turns import Turns
from core.graph.api.websocket import GraphQLSocket, OnRefused
from core.graph.command import Commands
from core.graph.schema.registry import ViewRegistry
from pcloud.errors import NotFound, PCloudError, Rejected, Unavailable

__all__ = ["Api"]

JSON = "application/json"
CLOSE_SECONDS = 2.0


class Api:
    """The caller owns the arguments, and calls `close()` before it closes them. `on_refused` receives each answer's errors.
    `extensions`: Ariadne's, made for each operation."""

    def __init__(
        self,
        sources: Sources,
        views: ViewRegistry,
        commands: Commands,
        platform: Sequence[PlatformFields] = (),
        limits: ApiLimits | None = None,
        on_refused: OnRefused = lambda caller, errors: None,
        extensions: Sequence[Callable[[], Extension]] = (),
    ) -> None:
        self._limits = limits or ApiLimits()
        self._on_refused = on_refused
        self._turns = Turns(self._limits.answers)
        self._served = ServedViews(views, platform)
        self._hub = EventHub(sources.log, sources.graph_loop)
        self._service = Service(self._served, sources, commands, self._hub, self._limits, extensions)
        self._connections: dict[GraphQLSocket, asyncio.Future[None]] = {}
        self._unsubscribe = views.on_swap(self._recheck)

    def add_fields(self, platform: Sequence[PlatformFields]) -> None:
        """Add platform commands of parts that are made after the API."""
        self._served.add(platform)

    async def close(self) -> None:
        await self.disconnect(lambda caller: True)
        self._unsubscribe()
        self._hub.close()
        self._served.close()

    def _recheck(self) -> None:
        """Views have changed: end subscriptions that are no longer allowed now, instead of with their next event."""
        for connection in list(self._connections):
            connection.recheck()

    async def disconnect(self, whom: Callable[[Caller], bool]) -> None:
        """Close the websockets of callers that may no longer be here, such as a revoked device's."""
        leaving = {connection: served for connection, served in self._connections.items() if whom(connection.caller)}
        for connection in leaving:
            connection.close()
        if leaving:
            await asyncio.wait(leaving.values(), timeout=CLOSE_SECONDS)

    async def execute(
        self, caller: Caller, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Answer one request: return HTTP status, body, headers. Raises nothing but `CancelledError`."""
        more = {"Content-Type": JSON}
        try:
            context = await self._service.context(caller, body, headers)
            told = await self._service.answer(context)
        except Exception as error:
            told = {"errors": error_answer(error)}
        else:
            if context.revision:
                more["Pcloud-Revision"] = context.revision
        if errors := told.get("errors"):
            self._on_refused(caller, errors)
        return 200 if "data" in told else http_status(told["errors"]), orjson.dumps(told), more

    async def http(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """POST: an operation. GET: a websocket, or GraphiQL for a browser. 404 for an app that does not exist."""
        try:
            self._served.of(caller)
        except NotFound as error:
            return self._refuse(caller, 404, error)
        if request.method == hdrs.METH_POST:
            return await self._post(request, caller)
        if request.method == hdrs.METH_GET:
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                return await self._websocket(request, caller)
            if "asset" in request.query or "text/html" in request.headers.get(hdrs.ACCEPT, ""):
                return graphiql(request)
        return self._refuse(caller, 405, Rejected("send POST with a JSON body, or open a websocket for subscriptions"))

    async def _post(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        if not caller.view_app:
            return await self._posted(request, caller)
        async with self._turns.of(caller):
            response = await self._posted(request, caller)
            # Within the turn: an answer that its client does not read occupies memory as well.
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
            return response

    async def _posted(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        # A browser sends this type to another origin only after asking, so no foreign page can post a form here.
        if request.content_type != JSON:
            return self._refuse(
                caller, 415, Rejected(f"the body is {request.content_type!r}: send Content-Type: {JSON}")
            )
        try:
            given = await self._body(request)
        except TimeoutError:
            return self._refuse(caller, 408, Rejected("the body did not come in time: send it at once"))
        if given is None:
            size = self._limits.body
            return self._refuse(caller, 413, Rejected(f"the body has more than {size} bytes: send it in parts"))
        try:
            body = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            return self._refuse(caller, 400, Rejected(f"the body is not JSON: {error}"))
        if not isinstance(body, dict):
            return self._refuse(
                caller, 400, Rejected('the body must be one object, {"query": "{ … }"}; lists are not accepted')
            )
        status, raw, headers = await self.execute(caller, cast("dict[str, Any]", body), request.headers)
        return (
            respond(request, raw, headers) if status == 200 else web.Response(status=status, body=raw, headers=headers)
        )

    async def _body(self, request: web.Request) -> bytes | bytearray | None:
        """Return None if the body is too large. Raises `TimeoutError`."""
        size, content = self._limits.body, request.content
        if (request.content_length or 0) > size:
            return None
        if content.is_eof():  # a small body comes with the headers
            raw = content.read_nowait()
        else:
            raw = bytearray()
            async with asyncio.timeout(self._limits.body_seconds):
                while len(raw) <= size and (more := await content.read(size + 1 - len(raw))):
                    raw += more
        return raw if len(raw) <= size else None

    async def _websocket(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        own = sum(_same(one.caller, caller) for one in self._connections)
        if len(self._connections) >= self._limits.connections or own >= self._limits.caller_connections:
            return self._refuse(caller, 503, Unavailable("too many open connections: close some, or try again later"))
        connection = GraphQLSocket(self._service, caller, self._limits, self._on_refused, self._turns)
        served = self._connections[connection] = asyncio.get_running_loop().create_future()
        try:
            return await connection.serve(request)
        finally:
            del self._connections[connection]
            served.set_result(None)

    def _refuse(self, caller: Caller, status: int, error: PCloudError) -> web.Response:
        errors = error_answer(error)
        self._on_refused(caller, errors)
        return web.Response(status=status, body=orjson.dumps({"errors": errors}), content_type=JSON)


def _same(one: Caller, other: Caller) -> bool:
    """Return True if two connections count against the same bound: one app's, one device's, one app's pages."""
    return (one.kind, one.name, one.through) == (other.kind, other.name, other.through)
