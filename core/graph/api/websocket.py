"""The protocol graphql-transport-ws over one websocket: queries, mutations and subscriptions, each with an id from the client.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md names the messages and the close codes. A slow client slows only its own
streams: nothing is queued for it beyond the socket's own buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson
from aiohttp import WSMsgType, web
from graphql import OperationType

from core.access.caller import Caller
from core.graph.api.context import Context
from core.graph.api.errors import error_answer
from core.graph.api.operation import Request
from core.graph.api.request_limits import ApiLimits
from core.graph.api.service import Service
from core.graph.api.turns import Turns
from pcloud.errors import Rejected

__all__ = ["PROTOCOL", "GraphQLSocket", "OnRefused"]

OnRefused = Callable[[Caller, Sequence[Mapping[str, Any]]], None]

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
HEARTBEAT_SECONDS = 20.0

GOING_AWAY = 1001
BAD_MESSAGE, UNAUTHORIZED, INIT_TIMEOUT, ID_TAKEN, TOO_MANY_INITS = 4400, 4401, 4408, 4409, 4429


class _Close(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Refused(Exception):
    """An operation that could not be started, with its errors."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = errors


class GraphQLSocket:
    """One socket of one caller, from upgrade to close."""

    def __init__(
        self, service: Service, caller: Caller, limits: ApiLimits, on_refused: OnRefused, turns: Turns
    ) -> None:
        self.caller = caller
        self._on_refused = on_refused
        self._service, self._limits, self._turns = service, limits, turns
        self._socket = web.WebSocketResponse(
            protocols=(PROTOCOL,), heartbeat=HEARTBEAT_SECONDS, max_msg_size=limits.body, compress=False
        )
        self._running: dict[str, asyncio.Task[None]] = {}
        self._open: dict[str, Request] = {}  # the requests of the open subscriptions
        self._checks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._ready = False

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = self._socket
        await socket.prepare(request)
        if socket.ws_protocol != PROTOCOL:
            await socket.close(code=4406, message=f"use the subprotocol {PROTOCOL}".encode())
            return socket
        self._reading = asyncio.create_task(self._read())
        try:
            await self._reading
        except TimeoutError:
            await socket.close(code=INIT_TIMEOUT, message=b"Connection initialisation timeout")
        except _Close as close:
            await socket.close(code=close.code, message=close.reason.encode()[:120])
        except asyncio.CancelledError:
            await self._stop()  # first: closing waits for the client, which may be one that is being disconnected
            await socket.close(code=GOING_AWAY, message=b"going away")
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        finally:
            await self._stop()
        return socket

    async def _stop(self) -> None:
        tasks = [*self._running.values(), *self._checks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        """Read messages until the client leaves."""
        async with asyncio.timeout(INIT_SECONDS) as patience:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    raise _Close(BAD_MESSAGE, "only text messages are accepted")
                await self._receive(message.data)
                if self._ready:
                    patience.reschedule(None)

    def close(self) -> None:
        """Ask for the socket to be closed; `serve` returns once it is."""
        if self._reading is not None:
            self._reading.cancel()

    def recheck(self) -> None:
        """The caller's view may have changed: end the subscriptions that it no longer allows."""
        if self._open:
            task = asyncio.create_task(self._recheck())
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _recheck(self) -> None:
        for id, request in list(self._open.items()):
            try:
                await self._service.refresh(request)
            except Exception as error:
                if self._open.get(id) is request and (task := self._running.pop(id, None)) is not None:
                    del self._open[id]
                    task.cancel()
                    await self._send("error", id, error_answer(error))

    async def _send(self, type_: str, id: str | None = None, payload: Any = None) -> None:
        message: dict[str, Any] = {"type": type_}
        if id is not None:
            message["id"] = id
        if payload is not None:
            message["payload"] = payload
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(orjson.dumps(message).decode())

    async def _receive(self, text: str) -> None:
        try:
            message = orjson.loads(text)
            type_ = message["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise _Close(BAD_MESSAGE, "a message is a JSON object with a type") from error
        match type_:
            case "connection_init":
                if self._ready:
                    raise _Close(TOO_MANY_INITS, "Too many initialisation requests")
                self._ready = True
                await self._send("connection_ack")
            case "ping":
                await self._send("pong")
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                if isinstance(id := message.get("id"), str) and (task := self._running.pop(id, None)):
                    self._open.pop(id, None)
                    task.cancel()
            case _:
                raise _Close(BAD_MESSAGE, f"there is no message type {str(type_)[:40]!r}")

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if not self._ready:
            raise _Close(UNAUTHORIZED, "Unauthorized: send connection_init first")
        id, payload = message.get("id"), message.get("payload")
        if not isinstance(id, str) or not 0 < len(id) <= 128 or not isinstance(payload, dict):
            raise _Close(BAD_MESSAGE, "subscribe needs an id and a payload")
        if id in self._running:
            raise _Close(ID_TAKEN, f"Subscriber for {id} already exists")
        if len(self._running) >= self._limits.subscriptions:
            # Sent before the next message is read, so that a client that reads no answers is not read from either.
            most = self._limits.subscriptions
            refusal = Rejected(f"more than {most} operations on one connection: complete some first")
            self._on_refused(self.caller, error_answer(refusal))
            await self._send("error", id, error_answer(refusal))
            return
        self._running[id] = asyncio.create_task(self._run(id, cast("dict[str, Any]", payload)))

    async def _run(self, id: str, payload: Mapping[str, Any]) -> None:
        try:
            context = await self._service.context(self.caller, payload, {})
            if context.kind is OperationType.SUBSCRIPTION:
                await self._events(id, context)
            else:
                async with self._turns.of(self.caller):
                    await self._answer(id, context)
            await self._send("complete", id)
        except Exception as error:
            self._open.pop(id, None)
            errors = error.errors if isinstance(error, _Refused) else error_answer(error)
            self._on_refused(self.caller, errors)
            await self._send("error", id, errors)
        finally:
            if self._running.get(id) is asyncio.current_task():
                del self._running[id]
                self._open.pop(id, None)

    async def _answer(self, id: str, context: Context) -> None:
        answer = await self._service.answer(context)
        if "data" not in answer:
            raise _Refused(answer["errors"])
        if errors := answer.get("errors"):
            self._on_refused(self.caller, errors)
        await self._send("next", id, answer)

    async def _events(self, id: str, context: Context) -> None:
        stream = await self._service.subscribe(context)
        if isinstance(stream, list):
            raise _Refused(stream)
        assert context.request is not None  # it has been prepared
        self._open[id] = context.request
        async with contextlib.aclosing(stream) as messages:
            async for message in messages:
                await self._send("next", id, {"data": message.data})
