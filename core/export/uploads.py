"""Puts an export's objects into a cloud's object store, each under its bucket and key, with its bytes checked on the way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from core.export.graph import Record
from core.export.objects import ATTEMPTS, PAUSE, ObjectStorage
from core.export.target import CHUNK
from pcloud.errors import Corrupt, Unavailable

__all__ = ["Uploads"]


class Uploads:
    """`buckets`: those that the store has."""

    def __init__(self, storage: ObjectStorage, session: aiohttp.ClientSession, root: Path, buckets: set[str]) -> None:
        self._storage, self._session, self._root, self._buckets = storage, session, root, buckets

    async def put(self, one: Record) -> None:
        """Upload a line of `objects.jsonl`. Raises `Unavailable` after some attempts, `Corrupt` if the file has changed since the check."""
        bucket, key, path = one["bucket"], one["key"], self._root / one["path"]
        if bucket not in self._buckets:
            await self._storage.call("create-bucket", bucket=bucket)
            self._buckets.add(bucket)
        why = ""
        for attempt in range(ATTEMPTS):
            place = await self._storage.call("put-object", bucket=bucket, key=key, content_type=one["type"])
            digest = hashlib.sha256()
            headers = {**place["headers"], "Content-Length": str(path.stat().st_size)}
            try:
                async with self._session.put(place["url"], data=_parts(path, digest.update), headers=headers) as answer:
                    if answer.status == 200:
                        if digest.hexdigest() != one["sha256"]:
                            raise Corrupt(f"{path} has changed during the import: import it again, into an empty cloud")
                        return
                    why = f"it answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            await asyncio.sleep(PAUSE * 2**attempt)
        raise Unavailable(
            f"the object store does not take {bucket}/{key} ({why}): see `pcloud status`; the same command goes on where it was"
        )


async def _parts(path: Path, seen: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            seen(part)
            yield part
