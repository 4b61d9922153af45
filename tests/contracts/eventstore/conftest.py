"""A real nats-server for each test (it starts in a twentieth of a second), and short ways to write what is appended."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from eventstore import (
    ConnectionSettings,
    EmbeddedServer,
    EventStore,
    ServerSettings,
    Transaction,
    open_server,
    open_store,
)
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with open_server(ServerSettings(tmp_path / "nats")) as running:
        yield running


@pytest.fixture
def connection(server: EmbeddedServer) -> ConnectionSettings:
    return ConnectionSettings(server.url, server.core)


@pytest.fixture
async def store(connection: ConnectionSettings) -> AsyncIterator[EventStore]:
    async with open_store(connection) as opened:
        yield opened


class Make:
    """`make.event("a")`, `make.tx(event, …)`: what the tests append."""

    @staticmethod
    def ref(id: str, type: str = "Image", app: str = "photos") -> Ref:
        return Ref(app, type, id)

    def event(self, id: str, expected: int = 0, kind: Kind = Kind.UPDATED, type: str = "Image", **fields: Any) -> Event:
        return Event(self.ref(id, type), kind, Change(set=fields), expected)

    @staticmethod
    def tx(*events: Event, tx: str | None = None, actor: str = "owner", **more: Any) -> Transaction:
        return Transaction(tx or uuid.uuid4().hex, events, actor, **more)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Wait for a condition; the test's own time-out limits the wait."""
    import asyncio

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():
            await asyncio.sleep(0.01)

    return wait
