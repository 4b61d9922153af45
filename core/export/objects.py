"""Fetches the bytes of all objects, through the role `object-storage`: photographs under their names, the rest under bucket and key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Any, Protocol

import aiohttp

from core.export.graph import Progress, Record
from core.export.ledger import FetchedObject, Ledger
from core.export.names import safe_part
from core.export.target import CHUNK, ExportFolder
from pcloud.errors import NotFound, Unavailable

__all__ = ["ObjectStorage", "ObjectWriter"]

ROLE = "object-storage"
PAGE = 100
ATTEMPTS = 5
PAUSE = 0.5  # seconds after the first failed attempt; each further one doubles it
NO_ADDRESS = "its key has a line feed, for which the object store has no address"


class StorageNode(Protocol):
    """The part of `core.cli.client.Client` that is needed."""

    async def ask(self, method: str, path: str, *, json_body: Any = None) -> Any: ...


class ObjectStorage:
    """The actions of the app that holds the role, as the owner calls them."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node

    async def call(self, action: str, **args: Any) -> Any:
        body = {"target": f"role:{ROLE}/{action}", "args": args}
        return (await self._node.ask("POST", "/call", json_body=body))["result"]

    async def buckets(self) -> list[Record]:
        """`{bucket, objects, bytes}` of each. Raises `NotFound` if the app that holds the role can't say it."""
        return (await self.call("usage"))["buckets"]

    async def is_installed(self) -> bool:
        """Return False if no app provides the role; an app that is being removed still does."""
        return any(ROLE in one["provides"] for one in await self._node.ask("GET", "/apps"))

    async def objects(self, bucket: str) -> AsyncIterator[Record]:
        """`{key, size, etag, modified, url}` of each object, in the store's order."""
        after: str | None = ""
        while after is not None:
            page = await self.call("export", bucket=bucket, after=after, first=PAGE)
            for one in page["objects"]:
                yield one
            after = page["next"]


class ObjectWriter:
    """`fetched`, `kept`: objects; `bytes`: of what was fetched."""

    def __init__(self, storage: ObjectStorage, target: ExportFolder, ledger: Ledger, progress: Progress) -> None:
        self._storage, self._target, self._ledger, self._progress = storage, target, ledger, progress
        self._buckets: list[Record] = []
        self.fetched = self.kept = self.bytes = 0

    async def begin(self) -> None:
        """Ask which buckets exist. Raises `Unavailable` if that can't be known, or if the store is gone whose objects the folder has:
        an export that goes on without them would remove their files."""
        try:
            if await self._storage.is_installed():
                self._buckets = await self._storage.buckets()
            elif self._ledger.has_objects():
                raise NotFound("no installed app provides it")
        except NotFound as error:
            raise Unavailable(
                f"the object store can't be read ({error.message}), and nothing was removed: install it, then run the same command again; "
                "or export into an empty folder"
            ) from error

    async def write(self) -> None:
        """Fetch what the folder does not have."""
        buckets = self._buckets
        total = sum(one["objects"] for one in buckets)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            for bucket in sorted(one["bucket"] for one in buckets):
                async for one in self._storage.objects(bucket):
                    await self._one(session, bucket, one)
                    count = self.fetched + self.kept
                    self._progress(
                        "fetching", f"object {count:,} of {max(count, total):,}, {self.bytes / 2**20:,.1f} MB so far"
                    )

    async def _one(self, session: aiohttp.ClientSession, bucket: str, one: Record) -> None:
        key = one["key"]
        if await asyncio.to_thread(self._is_kept, bucket, one):
            self.kept += 1
            return
        if one["url"] is None:
            self._ledger.miss(f"{bucket}/{key}", NO_ADDRESS)
            return
        try:
            type_, digest, size = await self._fetch(session, bucket, key, one["url"])
        except NotFound:
            self._ledger.miss(f"{bucket}/{key}", "it was deleted during the export")
            return
        photograph = self._ledger.photograph_at(f"{bucket}/{key}")
        if photograph is not None and photograph[1].sha256 == digest:
            owner = f"photograph/{photograph[0]}"
            file = self._ledger.place(owner, photograph[1].wanted, beside=[".xmp"])
        else:
            owner = f"object/{bucket}/{key}"
            file = self._ledger.place(owner, _wanted(bucket, key))
        self._ledger.commit()  # with the name known, a kill leaves no file that a later run does not know
        self._target.move_part(file.path)
        self._ledger.written(owner, digest, size)
        self._ledger.add_object(
            bucket, key, FetchedObject(one["etag"] or "", one["size"], one["modified"], type_, owner)
        )
        self.fetched += 1
        self.bytes += size

    def _is_kept(self, bucket: str, one: Record) -> bool:
        """Return True if the folder has these bytes where they belong; its files are read to know."""
        known = self._ledger.stored(bucket, one["key"])
        if known is None or (known.etag, known.size, known.modified) != (
            one["etag"] or "",
            one["size"],
            one["modified"],
        ):
            return False
        file = self._ledger.file(known.owner)
        photograph = self._ledger.photograph_at(f"{bucket}/{one['key']}")
        owner = f"object/{bucket}/{one['key']}"
        wanted, beside = _wanted(bucket, one["key"]), list[str]()
        if file is not None and photograph is not None and photograph[1].sha256 == file.sha256:
            owner, wanted, beside = f"photograph/{photograph[0]}", photograph[1].wanted, [".xmp"]
        if file is None or owner != known.owner or self._ledger.place(owner, wanted, beside=beside) != file:
            return False
        if not self._target.has(*file):
            return False
        self._ledger.add_object(bucket, one["key"], known)
        return True

    async def _fetch(self, session: aiohttp.ClientSession, bucket: str, key: str, url: str) -> tuple[str, str, int]:
        """Return media type, SHA-256 and size. Raises `NotFound` if the object was deleted, `Unavailable` after some attempts."""
        why = ""
        for attempt in range(ATTEMPTS):
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        written = await self._target.receive(_parts(answer))
                        return answer.headers.get("Content-Type", ""), *written
                    if answer.status == 404:
                        raise NotFound(f"{bucket}/{key} is gone")
                    why = f"it answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError, _Interrupted) as error:
                why = str(error) or type(error).__name__
            await asyncio.sleep(PAUSE * 2**attempt)
            url = (await self._storage.call("get-object", bucket=bucket, key=key))["url"]
        raise Unavailable(
            f"the object store does not give {bucket}/{key} ({why}): see `pcloud status`; the same command goes on where it was"
        )


class _Interrupted(Exception):
    """The object store's answer was cut; not an error of the disk, as aiohttp's own may look."""


async def _parts(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for part in answer.content.iter_chunked(CHUNK):
            yield part
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _wanted(bucket: str, key: str) -> str:
    return str(PurePosixPath("objects", safe_part(bucket), *(safe_part(part) for part in key.split("/"))))
