"""Thumbnails: each is made once, by a trigger or by the first look at it, and kept in the object store under the picture's digest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from pcloud.app import App
from pcloud.bounded import run_bounded
from pcloud.errors import NotFound, Rejected
from photos.bytes import ObjectStore
from photos.decode import SIZES, shrink

__all__ = ["Thumbnails", "thumbnail_key"]

# Tiles that were just looked at are looked at again: scrolling back, a second browser.
MEMORY = 16 * 2**20
SECONDS = 60
WORKING_MEMORY = 1536 * 2**20
IMAGE = "query($id: ID!) { getImage(id: $id) { place sha256 } }"


def thumbnail_key(sha256: str, size: str) -> str:
    return f"{sha256[:2]}/{sha256}-{size}-{SIZES[size]}.webp"


class Thumbnails:
    def __init__(self, app: App, store: ObjectStore):
        self._app = app
        self._store = store
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._making: dict[str, asyncio.Task[None]] = {}

    async def get(self, image: str, size: str) -> bytes:
        """The WebP file; raises `NotFound` for an unknown image or size, `Rejected` for a picture that can't be decoded."""
        if size not in SIZES:
            raise NotFound(f"there is no size {size!r}: {', '.join(SIZES)} are")
        name = f"{image}/{size}"
        if name in self._recent:
            self._recent.move_to_end(name)
            return self._recent[name]
        place, sha256 = await self._facts(image)
        key = thumbnail_key(sha256, size)
        try:
            data = await self._store.thumbnail(key)
        except NotFound:
            await self._make_once(place, sha256)
            data = await self._store.thumbnail(key)
        self._remember(name, data)
        return data

    async def make(self, image: str) -> bool:
        """Make both sizes unless they are there; False when the image has gone meanwhile."""
        try:
            place, sha256 = await self._facts(image)
        except NotFound:
            return False
        try:
            for size in SIZES:
                async with self._store.open("photos-thumbnails", thumbnail_key(sha256, size)):
                    pass
        except NotFound:
            await self._make_once(place, sha256)
        return True

    async def _facts(self, image: str) -> tuple[str, str]:
        found = (await self._app.graph.query(IMAGE, {"id": image}))["getImage"]
        if found is None:
            raise NotFound(f"there is no image {image}")
        return found["place"], found["sha256"]

    async def _make_once(self, place: str, sha256: str) -> None:
        """However many ask at once, the picture is decoded once."""
        task = self._making.get(sha256)
        if task is None:
            task = self._making[sha256] = asyncio.create_task(self._make(place, sha256))
            task.add_done_callback(lambda _: self._making.pop(sha256, None))
        await asyncio.shield(task)

    async def _make(self, place: str, sha256: str) -> None:
        async with self._store.original(place) as path:
            try:
                made = await run_bounded(shrink, str(path), SIZES, seconds=SECONDS, memory=WORKING_MEMORY)
            except Rejected as error:
                raise Rejected(f"{place} can't be shown: {error.message}") from error
        for size, data in made.items():
            await self._store.keep_thumbnail(thumbnail_key(sha256, size), data)

    def _remember(self, name: str, data: bytes) -> None:
        self._recent[name] = data
        self._recent_bytes += len(data)
        while self._recent_bytes > MEMORY:
            _, oldest = self._recent.popitem(last=False)
            self._recent_bytes -= len(oldest)
