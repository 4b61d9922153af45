"""What PCloud uses of aiohttp beyond what that library exports: all of it is here, and a test says what an update has changed.

- `_prepare_hook` of a request is called with each response before its head is sent. aiohttp has a public name for that in
  `web.Application` alone, whose router and signals would cost each request to the front a tenth of its time.
- `_handle` is what an application does with a request that another server has taken.
- `_create_connection` and `_factory` of a client's connector: where a connection comes from, and what reads answers from it. Public are
  only TCP and unix sockets that the connector opens itself.
- `ResponseHandler` reads those answers, and gets each head by `feed_data`.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import RawResponseMessage

__all__ = ["DiallingConnector", "HookedRequest", "bound_preliminary", "handle"]

MOST_PRELIMINARY = 16


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


class FewPreliminary(ResponseHandler):
    """Disconnects a server that sends informational answers (100 Continue, 103 Early Hints) without end: aiohttp reads all
    of them before other tasks run."""

    _preliminary = 0

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        self._preliminary = self._preliminary + 1 if 100 <= data[0].code < 200 else 0
        if self._preliminary <= MOST_PRELIMINARY:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.transport.abort()


def bound_preliminary(connector: aiohttp.BaseConnector) -> None:
    """Accept at most `MOST_PRELIMINARY` informational answers before each real one on this connector's connections."""
    connector._factory = functools.partial(FewPreliminary, loop=asyncio.get_running_loop())  # type: ignore[reportPrivateUsage]
