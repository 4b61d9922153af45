"""Downloads one object from the store into a file, with limits on bytes and time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from pcloud.errors import NotFound, Rejected, Unavailable

__all__ = ["download"]

_CHUNK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)


async def download(url: str, target: Path, most: int) -> None:
    """Fetch `url` into `target`. Raises `NotFound` without such an object, `Rejected` above `most` bytes, else
    `Unavailable`."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status == 404:
                raise NotFound("the object is no longer in the store")
            if answer.status != 200:
                raise Unavailable(f"the object store answered {answer.status} to the download; it will be retried")
            size = 0
            with target.open("wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > most:
                        raise Rejected(f"the file has {size} bytes or more; the setting `bytes` allows {most}")
                    await asyncio.to_thread(file.write, chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the download was interrupted: {error or type(error).__name__}; it will be retried"
        ) from error
