"""The graph as the app sees it: GraphQL queries, mutations and subscriptions through its gateway.

A mutation is one transaction and is done once. Inside a run, its key is the run and the number of the write; outside,
the key is `key` or a random one. So a request that is repeated after a lost connection returns the first one's answer.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from pcloud.context import current_call
from pcloud.errors import Unavailable, error_from_code
from pcloud.gateway import Answer, Gateway, fail_for

__all__ = ["Graph"]


class Graph:
    """`seconds`: how long to wait for an answer; inside a call, at most until its deadline."""

    def __init__(self, gateway: Gateway, *, seconds: float = 30.0) -> None:
        self._gateway = gateway
        self._seconds = seconds

    async def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer's `data`; raises an error of `pcloud.errors` and never returns a partial answer."""
        return await self._execute(document, variables, {})

    async def mutate(
        self, document: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """Like `query`, for a mutation. `key` makes it idempotent outside of runs as well: the same key returns the
        same answer."""
        call = current_call()
        headers = dict[str, str]()
        if call and call.run:
            headers["Pcloud-Ordinal"] = str(call.next_ordinal())
        if key or not headers:
            headers["Idempotency-Key"] = key or secrets.token_hex(16)
        return await self._execute(document, variables, headers)

    async def subscribe(
        self, document: str, variables: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the `data` of each answer until the subscription completes; raises `Unavailable` if the connection is
        lost.

        For the events of a type use `App.events`, which also reconnects.
        """
        import aiohttp

        try:
            async with self._gateway.websocket("/graphql") as socket:
                await socket.send_json({"type": "connection_init", "payload": {}})
                payload = {"query": document, "variables": dict(variables or {})}
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    frame: dict[str, Any] = msgspec.json.decode(message.data, type=dict[str, Any])
                    match frame.get("type"):
                        case "connection_ack":
                            await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
                        case "ping":
                            await socket.send_json({"type": "pong"})
                        case "next":
                            yield _data(frame["payload"])
                        case "error":
                            fail_for(Answer(200, {"errors": frame["payload"]}))
                        case "complete":
                            return
                        case _:
                            continue
                raise _closed(socket.close_code)
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the connection to PCloud was lost: {error}") from error

    async def _execute(
        self, document: str, variables: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        call = current_call()
        seconds = min(self._seconds, call.remaining + 1.0) if call and call.deadline else self._seconds
        body = {"query": document, "variables": dict(variables or {})}
        answer = await self._gateway.post("/graphql", body, headers, timeout=seconds)
        extensions: dict[str, Any] = answer.body.get("extensions") or {}
        self._gateway.seen.note(str(extensions.get("revision") or ""))
        return _data(answer.body, answer.status)


def _data(body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    fail_for(Answer(status, body))
    return body.get("data") or {}


def _closed(code: int | None) -> Exception:
    """The error for a close code of graphql-transport-ws: 4400 bad request, 4401 and 4403 not allowed; others may be
    retried."""
    names = {4400: "REJECTED", 4401: "FORBIDDEN", 4403: "FORBIDDEN"}
    message = f"PCloud ended the subscription (code {code})"
    return error_from_code(names.get(code or 0, "UNAVAILABLE"), message)
