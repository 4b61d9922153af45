"""What PCloud uses of nats-py beyond what that library documents: all of it is here, and a test says what an update has changed.

- `_parse_header_lines` reads a message's headers. Ours decodes them together instead of one by one: rebuilding a projection reads
  millions of them.
- `_process_pong` and `_pongs`: the client fails on the late answer to a flush that was cancelled or timed out, and
  reconnects. Ours passes over that answer.
- `reconnect_time_wait` is declared as an int. The client sleeps for it, so a fraction works, and on one machine a second
  is long.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import cast

from nats.aio.client import Client

__all__ = ["QuickClient", "reconnect_wait"]


class QuickClient(Client):
    """Accepts and ignores the same header lines as its base class."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and (known := _known(name)) is not None:
                found[known] = value.strip()
        return found

    async def _process_pong(self) -> None:
        pongs: list[asyncio.Future[bool]] = self._pongs  # pyright: ignore
        if pongs and pongs[0].done():
            pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


def reconnect_wait(seconds: float) -> int:
    """The value of `reconnect_time_wait` for a pause of this length, which may be a fraction."""
    return cast(int, seconds)


@lru_cache(256)
def _known(name: str) -> str | None:
    """Return a header's known name, or None for an invalid line; the same few lines come again and again."""
    name = name.strip()
    return name if name.isascii() and len(name.split(None, 1)) < 2 else None
