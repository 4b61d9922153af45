"""`app.objects`: bytes in and out of the object store, as far as the app was granted the calls of the role
`object-storage`.

An object is named by its place, `bucket/key`. Each access asks for an address that holds for a short time (`get-object`,
`put-object`) and uses it once.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pcloud.errors import NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Content", "Objects"]

CHUNK = 256 * 2**10
TOTAL_SECONDS, CONNECT_SECONDS, READ_SECONDS = 600.0, 10.0, 60.0
FOLDER = ".pcloud-objects"  # in the app's own folder, where the app gives the names


class Calls(Protocol):
    """The part of `pcloud.app.App` that is needed."""

    @property
    def data(self) -> Path: ...
    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> Any: ...


@dataclass(frozen=True)
class Content:
    """What an object has; `size` in bytes, None if the store does not say, and the chunks, to be read once."""

    size: int | None
    chunks: AsyncIterator[bytes]


class Objects:
    """All methods raise `NotFound` for an object that the store does not have, `Forbidden` where the app lacks the
    grant, and `Unavailable` for everything that may work at the next attempt."""

    def __init__(self, app: Calls) -> None:
        self._app = app
        self._session: aiohttp.ClientSession | None = None
        self._emptied: asyncio.Task[Path] | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def open(self, place: str) -> AsyncGenerator[Content, None]:
        async with self._request("GET", place, await self._address("get-object", place)) as response:
            yield Content(response.content_length, _chunks(response, place))

    async def read(self, place: str, most: int) -> bytes:
        """The whole object; raises `Rejected` above `most` bytes."""
        async with self.open(place) as content:
            return b"".join([chunk async for chunk in _bounded(content, place, most)])

    @asynccontextmanager
    async def file(self, place: str, most: int) -> AsyncGenerator[Path, None]:
        """The object as a file of its own, removed afterwards; raises `Rejected` above `most` bytes."""
        folder = await self._folder()
        with _storing(place):
            file = tempfile.NamedTemporaryFile(dir=folder, prefix="object-")  # noqa: SIM115 - closed below
        try:
            async with self.open(place) as content:
                async for chunk in _bounded(content, place, most):
                    with _storing(place):
                        await asyncio.to_thread(file.write, chunk)
            with _storing(place):
                file.flush()
            yield Path(file.name)
        finally:
            with suppress(OSError):  # of a full disk, which is reported by then
                file.close()

    async def write(self, place: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Store an object, in place of the one that may be there."""
        url = await self._address("put-object", place, content_type=content_type)
        async with self._request("PUT", place, url, data=data, headers={"Content-Type": content_type}):
            return

    async def _folder(self) -> Path:
        """Empty at each start: what a killed process left behind is of no use to anyone. It is emptied to the end and
        once, even if the first one who needs it is cancelled."""
        if self._emptied is None or (self._emptied.done() and self._emptied.exception()):
            self._emptied = asyncio.create_task(asyncio.to_thread(_empty, self._app.data / FOLDER))
        with _storing(FOLDER):
            return await asyncio.shield(self._emptied)

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
        with _transferring(place):
            response = await self._session.request(method, url, allow_redirects=False, **more)
        async with response:
            if response.status == 404:
                raise NotFound(f"the object store has no {place} (any more)")
            if response.status not in (200, 201, 204):
                raise Unavailable(f"the object store answered {response.status} for {place}: try again")
            yield response


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


@contextmanager
def _storing(what: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(f"{what} can't be written to the app's folder ({reason}): make room, or try later") from error


@contextmanager
def _transferring(place: str) -> Generator[None, None, None]:
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"the transfer of {place} broke off ({reason}): try again") from error


async def _chunks(response: aiohttp.ClientResponse, place: str) -> AsyncIterator[bytes]:
    while True:
        with _transferring(place):
            chunk = await response.content.read(CHUNK)
        if not chunk:
            return
        yield chunk


async def _bounded(content: Content, place: str, most: int) -> AsyncIterator[bytes]:
    size = content.size or 0
    if size <= most:
        size = 0
        async for chunk in content.chunks:
            size += len(chunk)
            if size > most:
                break
            yield chunk
    if size > most:
        raise Rejected(f"{place} has {size} bytes or more, and this app reads {most} at most")
