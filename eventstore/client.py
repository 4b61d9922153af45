"""nats-py's client with two changes: it reads headers faster (rebuilding a view reads millions of them), and it
survives a flush that was cancelled or timed out."""

from __future__ import annotations

import asyncio
from functools import lru_cache

from nats.aio.client import Client

__all__ = ["QuickClient"]


class QuickClient(Client):
    """Accepts and ignores the same header lines as its base class, but decodes them together instead of one by one."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and (known := _known(name)) is not None:
                found[known] = value.strip()
        return found

    async def _process_pong(self) -> None:
        """Handle the late answer to a flush that was cancelled or timed out. The base class fails on it and
        reconnects."""
        pongs: list[asyncio.Future[bool]] = self._pongs  # pyright: ignore
        if pongs and pongs[0].done():
            pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


@lru_cache(256)
def _known(name: str) -> str | None:
    """Return a header's known name, or None for an invalid line; the same few lines come again and again."""
    name = name.strip()
    return name if name.isascii() and len(name.split(None, 1)) < 2 else None
