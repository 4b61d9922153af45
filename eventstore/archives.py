"""ARCHIVES: the installed apps' archives, in an object bucket that every node has."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.js.client import JetStreamContext

from pcloud.errors import NotFound, Unavailable

__all__ = ["Archives"]


class Archives:
    """As `EventStore.archives`. Names are chosen by the caller: an archive's SHA-256."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def put(self, name: str, data: bytes) -> None:
        """Store, over what had the name. Raises `Unavailable`."""
        try:
            bucket = await self._js.object_store("ARCHIVES")
            await bucket.put(name, data)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"the archive {name} can't be stored: {error}") from error

    async def get(self, name: str) -> bytes:
        """Raises `NotFound`, or `Unavailable`."""
        try:
            bucket = await self._js.object_store("ARCHIVES")
            return (await bucket.get(name)).data or b""
        except nats.js.errors.ObjectNotFoundError as error:
            raise NotFound(f"there is no archive {name}") from error
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"the archive {name} can't be read: {error}") from error
