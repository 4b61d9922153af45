"""A core without its doors: the real log, graph view, commands, calls and event processor, and apps that are a few
lines of test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import nats
import nkeys
from nats.aio.client import Client
from nats.aio.msg import Msg

from core.access.caller import Caller
from core.access.grant import grant_id
from core.access.quota import Quotas
from core.graph.command import Commands, EntityChange
from core.graph.schema import ViewRegistry, parse_schema
from core.work.call import Calls, CallSettings, DispatchSettings, open_calls
from core.work.processor import Backoff, Processor, ProcessorSettings
from core.work.processor.read_graph import ReadGraph
from eventstore import ConnectionSettings, EmbeddedServer, EventStore, open_store
from pcloud.errors import PCloudError
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.directory import Directory
from projections.graph.away import PatientLoop
from projections.graph.catalog import Catalog
from projections.graph.routed import RoutedGraph
from projections.loop import ProjectionLoop
from projections.runs import Run, RunLog, RunsProjection, open_runs
from tests.views import open_small_views
from tests.waiting import until

Handler = Callable[..., Awaitable[Any]]

SHELF = """
type Book { title: String! @search(by: [exact, term]) pages: Int }
"""


@dataclass
class Call:
    """The input of a handler."""

    args: dict[str, Any]
    headers: dict[str, str]


@dataclass
class FakeApp:
    """An app's process: answers its actions on the bus with its own user. `die()` is kill -9."""

    name: str
    client: Client
    handlers: dict[str, Handler]
    calls: list[Call] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    heartbeat: float = 0.2

    async def listen(self) -> None:
        for action in self.handlers:
            await self.client.subscribe(f"call.{self.name}.{action}", queue=self.name, cb=self._take)
        await self.client.flush()

    async def _take(self, message: Msg) -> None:
        task = asyncio.create_task(self._answer(message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, message: Msg) -> None:
        call = Call(msgspec.json.decode(message.data)["args"], dict(message.headers or {}))
        self.calls.append(call)
        beat = asyncio.create_task(self._beat(message.reply)) if self.heartbeat else None
        status, body = "ok", {}
        try:
            body = {"result": await self.handlers[message.subject.split(".")[2]](call)}
        except PCloudError as error:
            status, body = "error", {"error": {"code": error.code, "message": error.message, "traceback": "at line 1"}}
        finally:
            if beat:
                beat.cancel()
        await self.client.publish(message.reply, msgspec.json.encode(body), headers={"Pcloud-Status": status})

    async def _beat(self, reply: str) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            await self.client.publish(reply, b"", headers={"Pcloud-Heartbeat": "1"})

    async def die(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await self.client.close()


@dataclass
class Installed:
    name: str
    manifest: Manifest


@dataclass
class Core:
    """Everything of one node that these tests need. Entering `started` starts it, leaving stops it."""

    server: EmbeddedServer
    store: EventStore
    graph: RoutedGraph
    directory: Directory
    loop: PatientLoop
    views: ViewRegistry
    commands: Commands
    calls: Calls
    processor: Processor
    runs: RunsProjection
    runs_loop: ProjectionLoop[Any]
    seeds: dict[str, bytes]
    apps: list[FakeApp] = field(default_factory=list)

    async def install(
        self, manifest: dict[str, Any], schema: str = "", granted: tuple[tuple[str, str], ...] = ()
    ) -> Installed:
        """Write the app and its grants (verb, target) as the app manager does, and attach it."""
        parsed = msgspec.convert(manifest, Manifest)
        name = parsed.name
        catalog = parse_schema(name, schema, others=self.graph.catalog) if schema else Catalog()
        fields = {
            "name": name, "version": parsed.version, "state": "RUNNING", "catalog": catalog.to_json(),
            "manifest": msgspec.json.encode(parsed).decode(),
        }  # fmt: skip
        changes = [EntityChange(Ref("core", "App", name), "upsert", set=fields)]
        for verb, target in granted:
            grant = {"app": name, "verb": verb, "target": target, "state": "approved"}
            changes.append(EntityChange(Ref("core", "Grant", grant_id(name, verb, target)), "upsert", set=grant))
        await self.loop.wait_for((await self.commands.write("owner", changes)).sequence)
        installed = Installed(name, parsed)
        await self.processor.attach(installed)
        return installed

    async def start_app(self, name: str, **handlers: Handler) -> FakeApp:
        """An instance of the app that answers the given actions (underscores for hyphens)."""
        if name not in self.seeds:
            self.seeds[name] = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        keys = {app: nkeys.from_seed(bytearray(seed)).public_key.decode() for app, seed in self.seeds.items()}
        await self.server.set_app_users(keys)
        client = await nats.connect(
            self.server.url, nkeys_seed_str=self.seeds[name].decode(), allow_reconnect=True, reconnect_time_wait=0.05
        )
        app = FakeApp(name, client, {action.replace("_", "-"): handler for action, handler in handlers.items()})
        await app.listen()
        self.apps.append(app)
        return app

    async def add(self, id: str, kind: str = "upsert", type: str = "Book", **fields: Any) -> int:
        """Write one entity of the app `shelf`; return its event's sequence."""
        change = EntityChange(Ref("shelf", type, id), kind, set=fields)  # type: ignore[arg-type]
        return (await self.commands.write("owner", [change])).sequence

    async def run_of(self, state: str, count: int = 1, app: str | None = None) -> list[Run]:
        """Return the runs in this state, once there are `count`."""

        async def found() -> Any:
            page = await self.runs.list(app=app, state=state)
            return page.runs if len(page.runs) >= count else None

        return list(await until(found))


QUICK = ProcessorSettings(ack_wait=2.0, backoff=Backoff(first=0.05, longest=0.2), record_delay=0.01, drain=0.0)
CALLS = CallSettings(dispatch=DispatchSettings(silence=1.0, start_wait=1.0))


@asynccontextmanager
async def start_core(
    server: EmbeddedServer,
    folder: Path,
    seeds: dict[str, bytes],
    settings: ProcessorSettings = QUICK,
    calls_settings: CallSettings = CALLS,
    quotas: Quotas | None = None,
) -> AsyncGenerator[Core]:
    """A core on a log that runs already; leaving the block cancels all of it at once, like a crash."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        small = await stack.enter_async_context(open_small_views(store, folder / "graph.sqlite"))
        runs = await open_runs(folder / "runs.sqlite")
        stack.push_async_callback(runs.close)
        runs_loop: ProjectionLoop[Any] = ProjectionLoop(RunLog(store), runs)
        stack.push_async_callback(_end, [asyncio.create_task(runs_loop.run())])
        views = ViewRegistry(small.directory)
        stack.callback(views.close)
        commands = Commands(store, small.answers, small.loop, small.directory_loop, quotas)
        calls = await stack.enter_async_context(
            open_calls(store, server, small.directory, commands, calls_settings, quotas=quotas)
        )
        graph = ReadGraph(small.answers, small.loop, views)
        processor = Processor(store, graph, calls, commands, runs, settings)
        stack.push_async_callback(_end, [asyncio.create_task(processor.run())])
        core = Core(
            server,
            store,
            small.answers,
            small.directory,
            small.loop,
            views,
            commands,
            calls,
            processor,
            runs,
            runs_loop,
            seeds,
        )
        yield core
        for app in core.apps:
            await app.die()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


OWNER = Caller("person", "owner")
