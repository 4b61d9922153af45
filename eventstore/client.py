"""nats-py's client, with a quicker reading of headers (a view that is built anew reads millions of them), and one that outlives a
flush that was given up."""

from __future__ import annotations

import asyncio
from functools import lru_cache

from nats.aio.client import Client

__all__ = ["QuickClient"]


class QuickClient(Client):
    """Takes and leaves out the same header lines as its base does, decoding them at once instead of one by one."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and (known := _known(name)) is not None:
                found[known] = value.strip()
        return found

    async def _process_pong(self) -> None:
        """The answer to a flush whose caller was cancelled, or waited too long, still comes: the base fails at it, and connects anew."""
        pongs: list[asyncio.Future[bool]] = self._pongs  # pyright: ignore
        if pongs and pongs[0].done():
            pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


@lru_cache(256)
def _known(name: str) -> str | None:
    """The name by which a header is known, None for what is none; the same few come again and again."""
    name = name.strip()
    return name if name.isascii() and len(name.split(None, 1)) < 2 else None
