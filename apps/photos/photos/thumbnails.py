"""Thumbnails: each is made once, by a trigger or by the first view, and kept in the object store under the picture's
digest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pcloud.context import own_work
from pcloud.decoding import decode
from pcloud.errors import NotFound, Rejected
from pcloud.objects import Objects
from photos.recent import Recent
from photos.shrink import SIZES, shrink

__all__ = ["Thumbnails", "thumbnail_key"]

# Tiles that were just viewed are viewed again: scrolling back, a second browser.
RECENT_BYTES = 8 * 2**20
# A picture that can't be decoded is not tried at each view, but now and then: the object may have been late, or the
# decoder is newer.
FAILED_ENTRIES = 2_000
FAILED_SECONDS = 600.0
# Originals that are on this disk and decoded at once.
AT_ONCE = 2
SECONDS = 60.0
WORKING_MEMORY = 1536 * 2**20
BOTH_SIZES = 8 * 2**20  # of one picture; of noise, which is the most, they have 2 MiB
BUCKET = "photos-thumbnails"
LARGEST_ORIGINAL = 1024 * 2**20
LARGEST_THUMBNAIL = 64 * 2**20
IMAGE = "query($id: ID!) { getImage(id: $id) { place sha256 } }"


class Graph(Protocol):
    """The part of `pcloud.graph.Graph` that is needed."""

    async def query(self, document: str, variables: Mapping[str, Any] | None = None, /) -> dict[str, Any]: ...


def thumbnail_key(sha256: str, size: str) -> str:
    """Its place in the object store. The side is part of it, so that other sizes are other objects."""
    return f"{BUCKET}/{sha256[:2]}/{sha256}-{size}-{SIZES[size]}.webp"


class Thumbnails:
    """`graph`: called at each use, since an app's graph exists only while it runs."""

    def __init__(self, graph: Callable[[], Graph], objects: Objects, clock: Callable[[], float] = time.monotonic):
        self._graph = graph
        self._objects = objects
        self._clock = clock
        self._recent = Recent[bytes](RECENT_BYTES, len)
        self._failed = Recent[tuple[float, str]](FAILED_ENTRIES, lambda _: 1)
        self._making: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def get(self, image: str, size: str) -> bytes:
        """The WebP file; raises `NotFound` for an unknown image or size, `Rejected` for a picture that can't be decoded."""
        if size not in SIZES:
            raise NotFound(f"{size!r} is not a size: use one of {', '.join(SIZES)}")
        name = f"{image}/{size}"
        if found := self._recent.get(name):
            return found
        if (failed := self._failed.get(image)) and self._clock() - failed[0] < FAILED_SECONDS:
            raise Rejected(failed[1])
        place, sha256 = await self._facts(image)
        key = thumbnail_key(sha256, size)
        try:
            data = await self._objects.read(key, LARGEST_THUMBNAIL)
        except NotFound:
            await self._make_or_remember(image, place, sha256)
            data = await self._objects.read(key, LARGEST_THUMBNAIL)
        self._recent.put(name, data)
        return data

    async def make(self, image: str) -> bool:
        """Make both sizes unless they exist; False if the image was deleted meanwhile."""
        try:
            place, sha256 = await self._facts(image)
        except NotFound:
            return False
        if not all([await self._is_kept(thumbnail_key(sha256, size)) for size in SIZES]):
            await self._make_once(place, sha256)
        return True

    async def _is_kept(self, key: str) -> bool:
        try:
            async with self._objects.open(key):
                return True
        except NotFound:
            return False

    async def _facts(self, image: str) -> tuple[str, str]:
        found = (await self._graph().query(IMAGE, {"id": image}))["getImage"]
        if found is None:
            raise NotFound(f"there is no image {image}")
        return found["place"], found["sha256"]

    async def _make_or_remember(self, image: str, place: str, sha256: str) -> None:
        try:
            await self._make_once(place, sha256)
        except (Rejected, NotFound) as error:
            self._failed.put(image, (self._clock(), error.message))
            raise

    async def _make_once(self, place: str, sha256: str) -> None:
        """Concurrent requests decode the picture once; if the first requester leaves, the work goes on."""
        task = self._making.get(sha256)
        if task is None:
            with own_work():  # made once, for the next view
                task = self._making[sha256] = asyncio.create_task(self._make(place, sha256))
            task.add_done_callback(lambda done: self._made(sha256, done))
        await asyncio.shield(task)

    def _made(self, sha256: str, task: asyncio.Task[None]) -> None:
        self._making.pop(sha256, None)
        if not task.cancelled():
            task.exception()  # every remaining waiter gets the error; there may be none left

    async def _make(self, place: str, sha256: str) -> None:
        async with self._slots, self._objects.file(place, LARGEST_ORIGINAL) as path:
            try:
                made = await decode(
                    shrink, path, SIZES, seconds=SECONDS, memory=WORKING_MEMORY, result_bytes=BOTH_SIZES
                )
            except Rejected as error:
                raise Rejected(f"{place} can't be shown: {error.message}") from error
            for size, data in made.items():
                await self._objects.write(thumbnail_key(sha256, size), data, "image/webp")
