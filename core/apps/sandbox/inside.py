"""The address of a web server within a sandbox: no other program can reach it, core by its dialer alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp.client_proto import ResponseHandler

__all__ = ["Inside", "InsideConnector"]


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """One per running process and port."""

    app: str
    port: int
    dial: Callable[[int], Awaitable[socket.socket]]

    def __str__(self) -> str:
        return f"127.0.0.1:{self.port} in its sandbox"

    async def connect(self) -> socket.socket:
        """Raises `Unavailable`."""
        return await self.dial(self.port)


class InsideConnector(aiohttp.BaseConnector):
    """An aiohttp client with it talks to one app; hosts in addresses mean nothing."""

    def __init__(self, address: Inside, *, limit: int = 100):
        super().__init__(limit=limit)
        self._address = address

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: object, timeout: object) -> ResponseHandler:
        connection = await self._address.connect()
        _, protocol = await asyncio.get_running_loop().create_connection(self._factory, sock=connection)
        return protocol
