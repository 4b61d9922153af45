"""The CLI's side of the node's administration socket.

A process that may open the socket in the node's private folder acts as the owner: the file system is the credential.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from core.node.folder import runtime_folder
from pcloud.errors import PCloudError, Unavailable, error_from_code

__all__ = ["Client", "open_client"]

LONGEST_LINE = 16 * 2**20


class Client:
    def __init__(self, session: aiohttp.ClientSession):
        self._session = session

    async def ask(self, method: str, path: str, *, json_body: Any = None, data: bytes | None = None) -> Any:
        """Send one request, return its JSON answer; raise the error that the node reports."""
        async with self._session.request(method, f"http://node{path}", json=json_body, data=data) as answer:
            await raise_for(answer)
            return await answer.json()

    async def text(self, method: str, path: str) -> str:
        """Send one request whose answer is plain text."""
        async with self._session.request(method, f"http://node{path}") as answer:
            await raise_for(answer)
            return await answer.text()

    async def lines(self, method: str, path: str, *, data: bytes | None = None) -> AsyncGenerator[dict[str, Any]]:
        """Send one request, yield an answer of one JSON object per line as they come; raise the error that a line carries."""
        async with self._session.request(method, f"http://node{path}", data=data) as answer:
            await raise_for(answer)
            async for line in answer.content:
                record = json.loads(line)
                if error := record.get("error"):
                    raise error_from_code(error["code"], error["message"])
                yield record

    @asynccontextmanager
    async def instant_copy(self) -> AsyncGenerator[dict[str, Any]]:
        """Have the node copy its files as they are at one instant; it keeps the copy for the length of this block."""
        async with self._session.ws_connect("http://node/backup", max_msg_size=0) as socket:
            answer = await socket.receive_json()
            if error := answer.get("error"):
                raise error_from_code(error["code"], error["message"])
            yield answer

    async def graphql(
        self, query: str, variables: dict[str, Any] | None = None, *, app: str = "", key: str = ""
    ) -> dict[str, Any]:
        """Return the `data` of an operation in the owner's view, or through an app; raise its first error. `key`: its idempotency key."""
        path = f"/graphql/{app}" if app else "/graphql"
        async with self._session.post(
            f"http://node{path}",
            json={"query": query, "variables": variables or {}},
            headers={"Idempotency-Key": key} if key else {},
        ) as answer:
            body = await answer.json(content_type=None)
            if errors := body.get("errors"):
                raise error_from_code(errors[0].get("extensions", {}).get("code", ""), errors[0]["message"])
            return body["data"]


async def raise_for(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        try:
            error = (await answer.json(content_type=None))["errors"][0]
        except (ValueError, KeyError, TypeError):
            raise PCloudError(f"the node answered {answer.status} {answer.reason}") from None
        raise error_from_code(error.get("extensions", {}).get("code", ""), error["message"])


@asynccontextmanager
async def open_client(data: Path) -> AsyncGenerator[Client]:
    """Open a client of the node that runs on `data`. Raises `Unavailable` if no node does."""
    socket = runtime_folder(data) / "admin.sock"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    try:
        connector = aiohttp.UnixConnector(path=str(socket))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=LONGEST_LINE) as session:
            yield Client(session)
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(
            f"no node runs on the data folder {data}: start one with `pcloud up`, or name its folder with --data"
        ) from error
    except aiohttp.ClientError as error:
        raise Unavailable(f"the node on {data} closed the connection: {error}") from error
