"""A real server that is killed, a connection that loses answers, and short ways to write what is appended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest

from eventstore import EmbeddedServer
from tests.contracts.eventstore.conftest import connection, make, server, store

__all__ = ["connection", "kill", "make", "server", "store", "wire"]


@pytest.fixture
def kill(server: EmbeddedServer):
    """kill -9, and wait until the server is back."""

    async def kill_and_wait() -> None:
        pid = server.pid
        assert pid is not None
        psutil.Process(pid).kill()
        while server.pid in (None, pid):
            await asyncio.sleep(0.01)

    return kill_and_wait


class LossyWire:
    """Sits between a client and the server. `deaf`: drop what the server sends; `mute`: drop what the client sends,
    counted in `swallowed`; `cut`: break all connections."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname, address.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.deaf = self.mute = False
        self.swallowed = 0
        self.url = ""

    async def serve(self) -> asyncio.Server:
        listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        return listener

    def cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, sink, from_server in ((reader, far_writer, False), (far_reader, writer, True)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink, from_server))
            self._pumps.add(pump)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, from_server: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if self.mute and not from_server:
                    self.swallowed += len(data)
                elif not (self.deaf and from_server):
                    sink.write(data)
                    await sink.drain()
        sink.close()
        self._writers.discard(sink)


@pytest.fixture
async def wire(server: EmbeddedServer) -> AsyncIterator[LossyWire]:
    lossy = LossyWire(server.url)
    listener = await lossy.serve()
    yield lossy
    listener.close()
    await lossy.close()
