"""What PCloud uses of aiohttp beyond what that library exports: all of it is here, and a test says what an update has changed.

- `_prepare_hook` of a request is called with each response before its head is sent. aiohttp has a public name for that in
  `web.Application` alone, whose router and signals would cost each request to the front a tenth of its time.
- `_handle` is what an application does with a request that another server has taken.
- `_create_connection` and `_factory` of a client's connector: where a connection comes from, and what reads answers from it. Public are
  only TCP and unix sockets that the connector opens itself.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler

__all__ = ["DiallingConnector", "HookedRequest", "handle", "read_by"]


class HookedRequest(web.Request):
    def answering(self, response: web.StreamResponse) -> None:
        """Called with each response to this request, an error of aiohttp's own too, before its head is sent."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        self.answering(response)


async def handle(application: web.Application, request: web.Request) -> web.StreamResponse:
    """The application's answer to a request that another server has taken."""
    return await application._handle(request)  # pyright: ignore[reportPrivateUsage]


class DiallingConnector(aiohttp.BaseConnector):
    """Talks over the connections that `dial` makes; hosts in addresses mean nothing."""

    def __init__(self, dial: Callable[[], Awaitable[socket.socket]], *, limit: int = 100):
        super().__init__(limit=limit)
        self._dial = dial

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: object, timeout: object) -> ResponseHandler:
        connection = await self._dial()
        _, protocol = await asyncio.get_running_loop().create_connection(self._factory, sock=connection)
        return protocol


def read_by(connector: aiohttp.BaseConnector, protocol: type[ResponseHandler]) -> None:
    """Have answers on this connector's connections read by `protocol`."""
    connector._factory = functools.partial(protocol, loop=asyncio.get_running_loop())  # type: ignore[reportPrivateUsage]
