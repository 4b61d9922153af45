"""S3 as the store itself speaks it to weed: make a bucket, delete, presign, try. This module does not check the caller."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Literal
from urllib.parse import quote

import aiohttp
import yarl

from object_store.names import PROBE
from object_store.presign import presigned
from object_store.weed.secret import KeyPair
from pcloud.errors import Unavailable

__all__ = ["S3"]

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_SECONDS = 60
Method = Literal["GET", "PUT", "DELETE"]


class S3:
    """One endpoint, one key pair."""

    def __init__(self, endpoint: str, region: str, pair: KeyPair) -> None:
        self.endpoint, self.region, self._pair = endpoint, region, pair

    def presign(self, method: Method, bucket: str, key: str, seconds: int, **query: str) -> str:
        """An address at which `method` works without keys for this time; '' is the bucket itself."""
        url = f"{self.endpoint}/{bucket}" + (f"/{quote(key, safe='/')}" if key else "")
        return presigned(method, url, query, self._pair, self.region, seconds)

    async def create_bucket(self, bucket: str) -> None:
        """Make a bucket; an existing one stays as it is."""
        status, text = await self._ask("PUT", bucket)
        if status != 200 and "BucketAlready" not in text:
            raise Unavailable(f"weed refused the bucket {bucket}: status {status}: {text[:300]}")

    async def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket with all objects; does nothing if it does not exist."""
        status, text = await self._ask("DELETE", bucket)
        if status not in (200, 204, 404):
            raise Unavailable(f"weed did not delete the bucket {bucket}: status {status}: {text[:300]}")

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; does nothing if it does not exist."""
        status, text = await self._ask("DELETE", bucket, key)
        if status not in (200, 204, 404):
            raise Unavailable(f"weed did not delete {bucket}/{key}: status {status}: {text[:300]}")

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store a small object at once."""
        status, text = await self._ask("PUT", bucket, key, body, content_type)
        if status != 200:
            raise Unavailable(f"weed did not store {bucket}/{key}: status {status}: {text[:300]}")

    async def stores(self) -> None:
        """Store a few bytes in a bucket that no caller sees, and read them back. Raises `Unavailable`."""
        await self.create_bucket(PROBE)
        body = secrets.token_hex(16)
        await self.put(PROBE, PROBE, body.encode(), "")
        status, text = await self._ask("GET", PROBE, PROBE)
        if (status, text) != (200, body):
            raise Unavailable(f"weed did not return what it had stored: status {status}: {text[:300]}")

    async def answers(self) -> bool:
        """Return True if it reads: it finds an object, or knows that it does not exist."""
        with suppress(Unavailable):
            return (await self._ask("GET", PROBE, PROBE))[0] in (200, 404)
        return False

    async def refusal(self, bucket: str, prefix: str = "") -> str:
        """Why the server refuses a listing to this key pair, in its own words; '' if it does not."""
        status, text = await self._ask("GET", bucket, **{"list-type": "2", "max-keys": "1", "prefix": prefix})
        if status == 403:
            return text
        if status != 200:
            raise Unavailable(f"weed did not list {bucket}: status {status}: {text[:300]}")
        return ""

    async def _ask(
        self, method: Method, bucket: str, key: str = "", body: bytes = b"", content_type: str = "", **query: str
    ) -> tuple[int, str]:
        url = yarl.URL(self.presign(method, bucket, key, _SECONDS, **query), encoded=True)
        headers = {"Content-Type": content_type} if content_type else {}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(method, url, data=body or None, headers=headers) as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"weed did not answer {method} {bucket}: {error or type(error).__name__}") from error
