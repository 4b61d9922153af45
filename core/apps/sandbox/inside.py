"""The address of a web server within a sandbox: only core can reach it, through the sandbox's dialer."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.aiohttp_private import DiallingConnector

__all__ = ["Inside", "InsideConnector"]


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """One object per running process and port."""

    app: str
    port: int
    dial: Callable[[int], Awaitable[socket.socket]]

    def __str__(self) -> str:
        return f"127.0.0.1:{self.port} in its sandbox"

    async def connect(self) -> socket.socket:
        """Raises `Unavailable`."""
        return await self.dial(self.port)


class InsideConnector(DiallingConnector):
    """An aiohttp connector to one app; the host of an address is ignored."""

    def __init__(self, address: Inside, *, limit: int = 100):
        super().__init__(address.connect, limit=limit)
