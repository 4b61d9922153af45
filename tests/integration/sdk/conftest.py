"""A real bus with PCloud's two accounts, a stand-in for an app's gateway, and an app that runs against both."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
from aiohttp import WSMsgType, web
from nats.aio.client import Client

from eventstore import EmbeddedServer, ServerSettings, open_server
from pcloud.app import App
from pcloud.bus import BusSettings


@dataclass
class Answer:
    headers: dict[str, str]
    body: dict[str, Any]
    heartbeats: int

    @property
    def status(self) -> str:
        return self.headers.get("Pcloud-Status", "")


@dataclass
class Bus:
    """The dispatcher's side, as core has it."""

    server: EmbeddedServer
    seed_file: Path
    client: Client

    async def call(self, action: str, args: dict[str, Any], *, patience: float = 30, **headers: str) -> Answer:
        reply = f"_INBOX.core.puppy-counter.{secrets.token_hex(16)}"
        subscription = await self.client.subscribe(reply)
        sent = {f"Pcloud-{name.capitalize()}": value for name, value in headers.items()}
        body = json.dumps({"args": args}).encode()
        await self.client.publish(f"call.puppy-counter.{action}", body, reply=reply, headers=sent)
        heartbeats = 0
        while True:
            message = await subscription.next_msg(patience)
            if not (message.headers or {}).get("Pcloud-Heartbeat"):
                break
            heartbeats += 1
        await subscription.unsubscribe()
        return Answer(dict(message.headers or {}), json.loads(message.data or b"{}"), heartbeats)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    seed_file = tmp_path / "app.nk"
    seed_file.write_bytes(seed)
    async with open_server(ServerSettings(tmp_path / "nats")) as server:
        await server.set_app_users({"puppy-counter": nkeys.from_seed(bytearray(seed)).public_key.decode()})
        user = server.dispatcher
        client = await nats.connect(server.url, user=user.user, password=user.password, reconnect_time_wait=0.05)
        yield Bus(server, seed_file, client)
        await client.close()


@dataclass
class FakeGateway:
    """Answers with what a test has set, and keeps the requests."""

    socket: Path
    answers: list[Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    subscribed: list[dict[str, Any]] = field(default_factory=list)
    per_connection: int = 1000  # events after which a connection is cut off

    def answer(self, body: dict[str, Any], status: int = 200, revision: str = "") -> None:
        async def give(request: web.Request, asked: dict[str, Any]) -> web.Response:
            return web.json_response(body, status=status, headers={"Pcloud-Revision": revision} if revision else {})

        self.answers.append(give)

    def cut(self) -> None:
        """Lose the connection in the middle of a request."""

        async def lose(request: web.Request, asked: dict[str, Any]) -> web.Response:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self.answers.append(lose)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade"):
            return await self.stream(request)
        asked = await request.json()
        self.asked.append((request.path, dict(request.headers), asked))
        return await (self.answers.pop(0))(request, asked)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """graphql-transport-ws: the events behind `after`, then a lost connection."""
        ws = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await ws.prepare(request)
        async for message in ws:
            assert message.type is WSMsgType.TEXT
            frame = message.json()
            if frame["type"] == "connection_init":
                await ws.send_json({"type": "connection_ack"})
            elif frame["type"] == "subscribe":
                self.subscribed.append(frame["payload"])
                after = int(frame["payload"]["variables"]["after"].rpartition(".")[2])
                new = [event for event in self.events if int(event["revision"].rpartition(".")[2]) > after]
                for event in new[: self.per_connection]:
                    await ws.send_json({"id": "1", "type": "next", "payload": {"data": {"imageEvents": event}}})
                if len(new) > self.per_connection:
                    assert request.transport is not None
                    request.transport.abort()
                    return ws
        return ws


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[FakeGateway, None]:
    double = FakeGateway(tmp_path / "gateway.sock")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(double.socket)).start()
    yield double
    await runner.cleanup()


@pytest.fixture
def variables(bus: Bus, gateway: FakeGateway, tmp_path: Path) -> dict[str, str]:
    return {
        "PCLOUD_APP": "puppy-counter",
        "PCLOUD_URL": f"unix://{gateway.socket}",
        "NATS_URL": bus.server.url,
        "NATS_NKEY_SEED_FILE": str(bus.seed_file),
        "PCLOUD_DATA": str(tmp_path),
        "PCLOUD_SETTINGS": '{"colour": "brown"}',
    }


@pytest.fixture
def app(variables: dict[str, str]) -> App:
    return App(variables, bus=BusSettings(concurrency=2, heartbeat=0.05), grace=5.0)


@asynccontextmanager
async def running(app: App) -> AsyncGenerator[asyncio.Task[None], None]:
    """While entered, `app` takes calls."""
    ready = asyncio.Event()
    task = asyncio.create_task(app.serve(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    yield task
    app.stop()
    await task


@pytest.fixture
def serving() -> Callable[[App], Any]:
    return running


@pytest.fixture
def unused_port() -> int:
    return free_port()
