"""Reads and writes bytes in the object store, through the short-lived addresses that it gives out."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from pcloud.errors import NotFound, Rejected, Unavailable

__all__ = ["LARGEST_ORIGINAL", "Calls", "ObjectStore"]

BUCKET = "photos-thumbnails"
LARGEST_ORIGINAL = 1024 * 2**20
SECONDS = 60
CHUNK = 256 * 2**10


class Calls(Protocol):
    """The part of `pcloud.app.App` that is needed."""

    @property
    def data(self) -> Path: ...
    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> Any: ...


class ObjectStore:
    """Use as `async with`."""

    def __init__(self, app: Calls):
        self._app = app

    async def __aenter__(self) -> ObjectStore:
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=5))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    @asynccontextmanager
    async def open(self, bucket: str, key: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The object as a stream; raises `NotFound`, `Unavailable`."""
        answer = await self._app.call("role:object-storage/get-object", {"bucket": bucket, "key": key})
        try:
            async with self._client.get(answer["url"]) as response:
                if response.status == 404:
                    raise NotFound(f"the object store has no {bucket}/{key} (any more)")
                if response.status != 200:
                    raise Unavailable(f"the object store answered {response.status} for {bucket}/{key}")
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the object store did not return {bucket}/{key}: {error}") from error

    async def thumbnail(self, key: str) -> bytes:
        async with self.open(BUCKET, key) as response:
            return await response.read()

    async def has_thumbnail(self, key: str) -> bool:
        try:
            async with self.open(BUCKET, key):
                return True
        except NotFound:
            return False

    async def keep_thumbnail(self, key: str, data: bytes) -> None:
        answer = await self._app.call(
            "role:object-storage/put-object", {"bucket": BUCKET, "key": key, "content_type": "image/webp"}
        )
        try:
            async with self._client.put(answer["url"], data=data, headers={"Content-Type": "image/webp"}) as response:
                if response.status not in (200, 201, 204):
                    raise Unavailable(f"the object store answered {response.status} when {key} was stored")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the object store did not store {key}: {error}") from error

    @asynccontextmanager
    async def original(self, place: str) -> AsyncIterator[Path]:
        """The original as a temporary file; `place` is `bucket/key`. Raises `Rejected` if it is too large."""
        bucket, _, key = place.partition("/")
        with tempfile.NamedTemporaryFile(dir=self._app.data, prefix="original-") as file:
            async with self.open(bucket, key) as response:
                size = 0
                async for chunk in response.content.iter_chunked(CHUNK):
                    size += len(chunk)
                    if size > LARGEST_ORIGINAL:
                        raise Rejected(
                            f"{place} is larger than {LARGEST_ORIGINAL // 2**20} MB, the most that the gallery decodes"
                        )
                    file.write(chunk)
            file.flush()
            yield Path(file.name)
