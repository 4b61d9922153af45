"""Which requests of S3 are admitted: those that add bytes, only while there is room for them and weed can write.

Deleting, also of many keys at once, and completing or aborting an upload in parts add nothing: they are never refused for lack
of room.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import unquote

from object_store.room import Room, Upload
from pcloud.errors import Unavailable

__all__ = ["Intake", "SizeOf", "added"]

SizeOf = Callable[[str, str], Awaitable[int]]  # bucket, key
_COPY = "x-amz-copy-source"


class Intake:
    """`why_read_only`: why weed stores nothing now, '' if it does. `suspect` is called if weed did not store something."""

    def __init__(
        self, room: Room, size_of: SizeOf, why_read_only: Callable[[], str], suspect: Callable[[], None]
    ) -> None:
        self._room, self._size_of, self._why_read_only, self.suspect = room, size_of, why_read_only, suspect

    @asynccontextmanager
    async def admitted(
        self, method: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[Upload | None]:
        """In this block, the request has the room for what it adds; None if it adds nothing. Raises `Full`, or
        `Unavailable` if weed can't write."""
        size = await added(method, query, headers, self._size_of)
        if size is None:
            yield None
            return
        with self._room.upload(size) as upload:
            if reason := self._why_read_only():
                raise Unavailable(reason)
            yield upload


async def added(method: str, query: Mapping[str, str], headers: Mapping[str, str], size_of: SizeOf) -> int | None:
    """Bytes, 0 if that is unknown; None if the request adds nothing. `size_of`: of an object, 0 if it does not exist."""
    if method == "PUT":
        if source := headers.get(_COPY):
            return _part(headers.get(f"{_COPY}-range", "")) or await size_of(*_place(source))
        return _length(headers)
    if method == "POST" and not ({"delete", "uploadId"} & query.keys()):
        return 0  # a form: its signature is in its body, so until that has come, anyone could take all room by a large `Content-Length`
    return None


def _length(headers: Mapping[str, str]) -> int:
    with suppress(ValueError):
        return max(int(headers.get("Content-Length", "")), 0)
    return 0


def _place(source: str) -> tuple[str, str]:
    bucket, _, key = unquote(source.partition("?")[0]).lstrip("/").partition("/")
    return bucket, key


def _part(wanted: str) -> int:
    """The length of `bytes=FIRST-LAST`, else 0."""
    with suppress(ValueError):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        return max(int(last) - int(first) + 1, 0)
    return 0
