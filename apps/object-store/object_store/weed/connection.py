"""A part of weed over gRPC with mutual TLS: its messages and its calls.

Each part describes its own messages (gRPC reflection), so there is no .proto and no generated code that could differ
from the server's version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from object_store.weed.certificate import Certificate
from pcloud.errors import Unavailable

__all__ = ["Connection", "open_connection"]

_OPTIONS = [("grpc.max_receive_message_length", 64 * 2**20), ("grpc.enable_http_proxy", 0)]


class Connection:
    """One channel. Every call raises `Unavailable` if weed is away or refuses."""

    def __init__(self, channel: grpc.aio.Channel, pool: DescriptorPool) -> None:
        self._channel, self._pool = channel, pool

    def message(self, name: str, /, **fields: Any) -> Any:
        """A message by its full name: `iam_pb.Identity`."""
        return GetMessageClass(self._pool.FindMessageTypeByName(name))(**fields)

    async def call(self, method: str, /, *, seconds: float = 10.0, token: str = "", **fields: Any) -> Any:
        """One request, `package.Service/Method`; `token` is sent as bearer."""
        name, request, answer = self._described(method, fields)
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
        except asyncio.CancelledError as error:
            raise _closed(name) from error

    async def stream(self, method: str, /, *, seconds: float | None = None, **fields: Any) -> AsyncIterator[Any]:
        """The answers to one request, `package.Service/Method`. `seconds`: for all of them."""
        name, request, answer = self._described(method, fields)
        invoke = self._channel.unary_stream(
            f"/{method}", request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            async for response in invoke(request, timeout=seconds):
                yield response
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"weed aborted {name}: {error.code().name}: {error.details()}") from error
        except asyncio.CancelledError as error:
            raise _closed(name) from error

    def _described(self, method: str, fields: dict[str, Any]) -> tuple[str, Any, Any]:
        """The method's name, its request, and the class of its answer."""
        service, _, name = method.partition("/")
        described = self._pool.FindServiceByName(service).FindMethodByName(name)
        return name, GetMessageClass(described.input_type)(**fields), GetMessageClass(described.output_type)


def _closed(name: str) -> BaseException:
    """What a call raises that was cancelled: grpc cancels the calls of a channel that is closed; the
    tasks that wait for them were not cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    return Unavailable(f"weed went away during {name}")


@asynccontextmanager
async def open_connection(port: int, certificate: Certificate, services: Sequence[str]) -> AsyncIterator[Connection]:
    """`port`: a gRPC port on loopback; `services`: those that are called, by their full names."""
    credentials = grpc.ssl_channel_credentials(
        certificate.authority.read_bytes(), certificate.key.read_bytes(), certificate.certificate.read_bytes()
    )
    address = f"127.0.0.1:{port}"
    pool = await asyncio.to_thread(_describe, address, credentials, services)
    async with grpc.aio.secure_channel(address, credentials, options=_OPTIONS) as channel:
        yield Connection(channel, pool)


def _describe(address: str, credentials: grpc.ChannelCredentials, services: Sequence[str]) -> DescriptorPool:
    """Read everything that is needed here, while the blocking channel is open; later look-ups find it in the pool."""
    try:
        with grpc.secure_channel(address, credentials, options=_OPTIONS) as channel:
            grpc.channel_ready_future(channel).result(timeout=3)
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            for service in services:
                pool.FindServiceByName(service)
            return pool
    except (grpc.RpcError, grpc.FutureTimeoutError, KeyError) as error:
        raise Unavailable(f"weed at {address} does not describe itself: {error!r}") from error
