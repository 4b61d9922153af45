"""The filer over gRPC with mutual TLS: its messages, single calls, and the stream of its metadata.

The filer describes its own messages (gRPC reflection), so there is no .proto and no generated code that could differ
from the server's version.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from object_store.weed.certificate import Certificate
from pcloud.errors import Unavailable

__all__ = ["Filer", "open_filer"]

_PAGE = 1000
_OPTIONS = [("grpc.max_receive_message_length", 64 * 2**20), ("grpc.enable_http_proxy", 0)]


class Filer:
    """One channel. Every call raises `Unavailable` if the filer is away or refuses."""

    def __init__(self, channel: grpc.aio.Channel, pool: DescriptorPool) -> None:
        self._channel, self._pool = channel, pool

    def message(self, name: str, /, **fields: Any) -> Any:
        """A message by its full name: `iam_pb.Identity`."""
        return GetMessageClass(self._pool.FindMessageTypeByName(name))(**fields)

    async def call(self, method: str, /, *, seconds: float = 10.0, token: str = "", **fields: Any) -> Any:
        """One request, `package.Service/Method`; `token` is sent as bearer."""
        service, _, name = method.partition("/")
        package = service.rpartition(".")[0]
        request = self.message(f"{package}.{name}Request", **fields)
        answer = GetMessageClass(self._pool.FindMessageTypeByName(f"{package}.{name}Response"))
        invoke = self._channel.unary_unary(
            f"/{method}", request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            return await invoke(request, timeout=seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"weed refused {name}: {error.code().name}: {error.details()}") from error
        except grpc.aio.UsageError as error:  # the channel was closed meanwhile
            raise Unavailable(f"weed went away before {name}") from error

    async def follow(self, since_ns: int) -> AsyncIterator[Any]:
        """Changes below /buckets from a time on (inclusive), in order, without end; only of this filer.

        Raises `Unavailable` if the stream breaks. Changes in between may then be missing: the log of the last minute is
        only in the filer's memory.
        """
        request = self.message(
            "filer_pb.SubscribeMetadataRequest", client_name="pcloud-object-store", path_prefix="/buckets/",
            since_ns=since_ns, client_id=random.getrandbits(31), client_epoch=1,
        )  # fmt: skip
        async for response in self._stream("SubscribeLocalMetadata", request, "filer_pb.SubscribeMetadataResponse"):
            yield response
        raise Unavailable("weed ended its stream of changes")

    async def walk(self, bucket: str) -> AsyncIterator[Any]:
        """Everything in a bucket, folder by folder, each with `directory` and `entry`; what is stored meanwhile may be
        missing."""
        request = self.message(
            "filer_pb.TraverseBfsMetadataRequest",
            directory=f"/buckets/{bucket}", excluded_prefixes=[f"/buckets/{bucket}/.uploads"],
        )  # fmt: skip
        async for response in self._stream("TraverseBfsMetadata", request, "filer_pb.TraverseBfsMetadataResponse"):
            yield response

    async def entries(self, folder: str, start: str = "") -> AsyncGenerator[Any, None]:
        """The entries of a folder, by name, from the name `start` on (inclusive)."""
        inclusive = True
        while True:
            request = self.message(
                "filer_pb.ListEntriesRequest",
                directory=folder,
                startFromFileName=start,
                inclusiveStartFrom=inclusive,
                limit=_PAGE,
            )
            count = 0
            async for response in self._stream("ListEntries", request, "filer_pb.ListEntriesResponse"):
                count, start, inclusive = count + 1, response.entry.name, False
                yield response.entry
            if count < _PAGE:
                return

    async def _stream(self, method: str, request: Any, answer: str) -> AsyncIterator[Any]:
        invoke = self._channel.unary_stream(
            f"/filer_pb.SeaweedFiler/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(self._pool.FindMessageTypeByName(answer)).FromString,
        )
        try:
            async for response in invoke(request):
                yield response
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"weed aborted {method}: {error.code().name}: {error.details()}") from error


@asynccontextmanager
async def open_filer(port: int, certificate: Certificate) -> AsyncIterator[Filer]:
    """`port`: the filer's gRPC port on loopback."""
    credentials = grpc.ssl_channel_credentials(
        certificate.authority.read_bytes(), certificate.key.read_bytes(), certificate.certificate.read_bytes()
    )
    address = f"127.0.0.1:{port}"
    pool = await asyncio.to_thread(_describe, address, credentials)
    async with grpc.aio.secure_channel(address, credentials, options=_OPTIONS) as channel:
        yield Filer(channel, pool)


def _describe(address: str, credentials: grpc.ChannelCredentials) -> DescriptorPool:
    """Read everything that is needed here, while the blocking channel is open; later look-ups find it in the pool."""
    try:
        with grpc.secure_channel(address, credentials, options=_OPTIONS) as channel:
            grpc.channel_ready_future(channel).result(timeout=3)
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            for service in ("filer_pb.SeaweedFiler", "iam_pb.SeaweedIdentityAccessManagement"):
                pool.FindServiceByName(service)
            return pool
    except (grpc.RpcError, grpc.FutureTimeoutError, KeyError) as error:
        raise Unavailable(f"weed's filer at {address} does not describe itself: {error!r}") from error
