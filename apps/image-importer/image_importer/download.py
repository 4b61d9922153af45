"""Downloads one object from the store into a file, with limits on bytes and time, and hashes it on the way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pcloud.errors import NotFound, Rejected, Unavailable

__all__ = ["Downloaded", "download"]

_CHUNK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)


@dataclass(frozen=True)
class Downloaded:
    size: int
    sha256: str


async def download(url: str, target: Path, most: int) -> Downloaded:
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
            if (answer.content_length or 0) > most:
                raise Rejected(_too_large(answer.content_length or 0, most))
            return await _receive(answer.content, target, most)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the download was interrupted: {error or type(error).__name__}; it will be retried"
        ) from error


async def _receive(content: aiohttp.StreamReader, target: Path, most: int) -> Downloaded:
    size, digest = 0, hashlib.sha256()
    with target.open("wb") as file:
        async for chunk in content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > most:
                raise Rejected(_too_large(size, most))
            await asyncio.to_thread(_take, file.write, digest.update, chunk)
    return Downloaded(size, digest.hexdigest())


def _take(write: Callable[[bytes], object], update: Callable[[bytes], object], chunk: bytes) -> None:
    write(chunk)
    update(chunk)


def _too_large(size: int, most: int) -> str:
    return f"the file has {size} bytes or more; the setting `bytes` allows {most}"
