"""The filer: the stream of its metadata, walks and listings."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from object_store.weed.certificate import Certificate
from object_store.weed.connection import Connection, open_connection
from pcloud.errors import Unavailable

__all__ = ["Filer", "open_filer"]

_SERVICE = "filer_pb.SeaweedFiler"
_PAGE = 1000


class Filer:
    """Every method raises `Unavailable` if the filer is away or refuses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.message, self.call = connection.message, connection.call

    async def size(self, bucket: str, key: str) -> int:
        """The size of an object in bytes; 0 if it does not exist."""
        folder, _, name = f"/buckets/{bucket}/{key}".rpartition("/")
        try:
            found = await self.call(f"{_SERVICE}/LookupDirectoryEntry", directory=folder, name=name)
        except Unavailable:  # the answer to an unknown name, too
            return 0
        return found.entry.attributes.file_size

    async def follow(self, since_ns: int) -> AsyncIterator[Any]:
        """Changes below /buckets from a time on (inclusive), in order, without end; only of this filer.

        Raises `Unavailable` if the stream breaks. Changes in between may then be missing: the log of the last minute is
        only in the filer's memory.
        """
        async for response in self._connection.stream(
            f"{_SERVICE}/SubscribeLocalMetadata", client_name="pcloud-object-store", path_prefix="/buckets/",
            since_ns=since_ns, client_id=random.getrandbits(31), client_epoch=1,
        ):  # fmt: skip
            yield response
        raise Unavailable("weed ended its stream of changes")

    async def walk(self, bucket: str) -> AsyncIterator[Any]:
        """Everything in a bucket, folder by folder, each with `directory` and `entry`; what is stored meanwhile may be
        missing."""
        async for response in self._connection.stream(
            f"{_SERVICE}/TraverseBfsMetadata",
            directory=f"/buckets/{bucket}", excluded_prefixes=[f"/buckets/{bucket}/.uploads"],
        ):  # fmt: skip
            yield response

    async def entries(self, folder: str, start: str = "") -> AsyncGenerator[Any, None]:
        """The entries of a folder, by name, from the name `start` on (inclusive)."""
        inclusive = True
        while True:
            count = 0
            async for response in self._connection.stream(
                f"{_SERVICE}/ListEntries",
                directory=folder, startFromFileName=start, inclusiveStartFrom=inclusive, limit=_PAGE,
            ):  # fmt: skip
                count, start, inclusive = count + 1, response.entry.name, False
                yield response.entry
            if count < _PAGE:
                return


@asynccontextmanager
async def open_filer(port: int, certificate: Certificate) -> AsyncIterator[Filer]:
    """`port`: the filer's gRPC port on loopback."""
    services = (_SERVICE, "iam_pb.SeaweedIdentityAccessManagement")
    async with open_connection(port, certificate, services) as connection:
        yield Filer(connection)
