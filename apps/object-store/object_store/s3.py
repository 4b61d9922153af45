"""S3 as the store itself speaks it to weed, with the admin key: make a bucket, list, delete, presign. Nothing here checks who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import aiohttp
import obstore
import yarl
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from object_store.weed.secret import KeyPair
from pcloud.errors import Rejected, Unavailable

__all__ = ["S3", "Object"]

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Object:
    """`etag` without quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


class S3:
    """One endpoint, one key pair."""

    def __init__(self, endpoint: str, region: str, pair: KeyPair) -> None:
        self.endpoint, self.region, self._pair = endpoint, region, pair
        self._stores = dict[str, S3Store]()

    async def create_bucket(self, bucket: str) -> None:
        """One that is there already is left as it is."""
        url = await self.presign("PUT", bucket, "", 60)
        try:
            async with aiohttp.ClientSession() as session, session.put(yarl.URL(url, encoded=True)) as answer:
                status, text = answer.status, await answer.text()
        except aiohttp.ClientError as error:
            raise Unavailable(f"weed did not take the bucket {bucket}: {error}") from error
        if status != 200 and "BucketAlready" not in text:
            raise Unavailable(f"weed did not take the bucket {bucket}: status {status}: {text[:300]}")

    async def presign(self, method: Literal["GET", "PUT"], bucket: str, key: str, seconds: int) -> str:
        with _told(f"presigning {bucket}/{key}"):
            return await obstore.sign_async(self._store(bucket), method, key, timedelta(seconds=seconds))

    async def pages(
        self, bucket: str, prefix: str = "", after: str = "", size: int = _PAGE
    ) -> AsyncIterator[list[Object]]:
        """All objects behind `after`. `prefix` is a folder. In weed's order, which sorts `a/b` before `a-b`."""
        with _told(f"listing {bucket}"):
            listing = obstore.list(self._store(bucket), prefix=prefix or None, offset=after or None, chunk_size=size)
            async for page in listing:
                yield [
                    Object(m["path"], m["size"], (m["e_tag"] or "").strip('"'), m["last_modified"])
                    for m in page
                    if not m["path"].endswith("/")
                ]

    async def delete(self, bucket: str, key: str) -> None:
        with _told(f"deleting {bucket}/{key}"):
            await obstore.delete_async(self._store(bucket), key)

    async def refusal(self, bucket: str, prefix: str = "") -> str:
        """Why the server refuses this key pair a listing, in its own words; '' when it does not."""
        try:
            async for _ in self.pages(bucket, prefix, size=1):
                break
        except PermissionError as error:
            return str(error)
        return ""

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            if len(self._stores) >= 64:
                self._stores.pop(next(iter(self._stores)))
            self._stores[bucket] = S3Store(
                bucket, endpoint=self.endpoint, region=self.region, access_key_id=self._pair.access_key,
                secret_access_key=self._pair.secret_key, virtual_hosted_style_request=False,
                client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=10)},
            )  # fmt: skip
        return self._stores[bucket]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """obstore's errors as ours; being refused stays a `PermissionError`, which only `refusal` expects."""
    try:
        yield
    except TypeError as error:  # how obstore tells a path that it can't address
        raise Rejected(f"{what} is not possible: the key can't be addressed over S3") from error
    except BaseError as error:
        text = str(error)
        refused = isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in text
        if refused or any(code in text for code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")):
            raise PermissionError(f"{what} was refused: {text}") from error
        raise Unavailable(f"{what} failed: {text.splitlines()[0][:300]}") from error
