"""`app.objects`: bytes in and out of the object store, as far as the app was granted the calls of the role
`object-storage`.

An object is named by its place, `bucket/key`. Each access asks for an address that holds for a short time (`get-object`,
`put-object`) and uses it once.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pcloud.errors import NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Objects"]

CHUNK = 256 * 2**10
TOTAL_SECONDS, CONNECT_SECONDS, READ_SECONDS = 600.0, 10.0, 60.0
FOLDER = "incoming"


class Calls(Protocol):
    """The part of `pcloud.app.App` that is needed."""

    @property
    def data(self) -> Path: ...
    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> Any: ...


class Objects:
    """All methods raise `NotFound` for an object that the store does not have, `Forbidden` where the app lacks the
    grant, and `Unavailable` for everything that may work at the next attempt."""

    def __init__(self, app: Calls) -> None:
        self._app = app
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def open(self, place: str) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """The object as a response, to be read from its `content`."""
        async with self._request("GET", place, await self._address("get-object", place)) as response:
            yield response

    async def read(self, place: str, most: int) -> bytes:
        """The whole object; raises `Rejected` above `most` bytes."""
        async with self.open(place) as response:
            return b"".join([chunk async for chunk in _bounded(response, place, most)])

    @asynccontextmanager
    async def file(self, place: str, most: int) -> AsyncGenerator[Path, None]:
        """The object as a file of its own, removed afterwards; raises `Rejected` above `most` bytes."""
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="object-") as file:
            async with self.open(place) as response:
                async for chunk in _bounded(response, place, most):
                    await asyncio.to_thread(file.write, chunk)
            file.flush()
            yield Path(file.name)

    async def write(self, place: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Store an object, in place of the one that may be there."""
        url = await self._address("put-object", place, content_type=content_type)
        async with self._request("PUT", place, url, data=data, headers={"Content-Type": content_type}):
            return

    @cached_property
    def _folder(self) -> Path:
        """Empty at each start: what a killed process left behind is of no use to anyone."""
        folder = self._app.data / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    async def _address(self, action: str, place: str, **more: str) -> str:
        bucket, _, key = place.partition("/")
        answer = await self._app.call(f"role:object-storage/{action}", {"bucket": bucket, "key": key, **more})
        return str(answer["url"])

    @asynccontextmanager
    async def _request(
        self, method: str, place: str, url: str, **more: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        import aiohttp

        if self._session is None:
            limits = aiohttp.ClientTimeout(TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
            self._session = aiohttp.ClientSession(timeout=limits, auto_decompress=False)
        try:
            async with self._session.request(method, url, allow_redirects=False, **more) as response:
                if response.status == 404:
                    raise NotFound(f"the object store has no {place} (any more)")
                if response.status not in (200, 201, 204):
                    raise Unavailable(f"the object store answered {response.status} for {place}: try again")
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the transfer of {place} broke off ({reason}): try again") from error


async def _bounded(response: aiohttp.ClientResponse, place: str, most: int) -> AsyncIterator[bytes]:
    size = response.content_length or 0
    if size <= most:
        size = 0
        async for chunk in response.content.iter_chunked(CHUNK):
            size += len(chunk)
            if size > most:
                break
            yield chunk
    if size > most:
        raise Rejected(f"{place} has {size} bytes or more, and this app reads {most} at most")
