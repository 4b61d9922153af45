"""As much of a node as the app manager needs: the real log, graph view and commands; calls, API and event processor are recorders.

Run as a program, `python -m tests.integration.app.platform FOLDER ARCHIVE STEP`, it installs an archive and kills itself with SIGKILL
when the installation (or removal) gets to a step.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

import pcloud
from core.access.caller import Caller, RunContext
from core.access.quota import GraphQuota
from core.apps import App, Apps, AppSettings, Supervision
from core.apps.egress import Egress
from core.apps.protocols import CoreServices
from core.front.ingress.visits import Visits
from core.graph.command import Commands
from eventstore import ConnectionSettings, EventStore, ServerSettings, open_server, open_store
from eventstore.server import EmbeddedServer
from pcloud.errors import Forbidden
from projections.directory import Grant
from projections.graph.routed import RoutedGraph
from tests.views import open_small_views

QUICK = Supervision(stop=3.0, back_off=0.02, longest_back_off=0.2, settle=0.1, start=15.0)


@dataclass
class Answer:
    result: Any
    revision: str = "e.1"


@dataclass
class Recorder:
    """Calls with their open runs, API and event processor in one; `journal` outlives the process. `errors`: what the next calls raise."""

    journal: Path
    errors: list[Exception] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        with self.journal.open("a") as file:
            file.write(f"{text}\n")

    def noted(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    async def call(self, caller: Caller, target: str, args: Mapping[str, Any], **options: Any) -> Answer:
        self.note(f"call {caller.actor} {target} {dict(args)}")
        self.tokens.append(options.get("run_token", ""))
        if self.errors:
            raise self.errors.pop(0)
        return Answer({"args": dict(args), **{name: value for name, value in options.items() if value}})

    async def send(self, caller: Caller, target: str, args: Mapping[str, Any], **options: Any) -> str:
        self.note(f"send {caller.actor} {target} {dict(args)} {options.get('key')}")
        return "run1"

    @property
    def runs(self) -> Recorder:
        return self

    def open(self, context: RunContext, app: str) -> str:
        return f"{app}-{context.id}"

    def close(self, token: str) -> None:
        pass

    def run(self, token: str, app: str) -> RunContext:
        if token != f"{app}-token":
            raise Forbidden(f"this is not an open run of {app}")
        return RunContext("run1")

    def callers(self, app: str) -> Mapping[str, Mapping[str, int]]:
        return {}

    async def callers_told(self) -> None:
        self.note("callers told")

    def lost(self, app: str) -> None:
        self.note(f"lost {app}")

    def not_ready(self, app: str, reason: str) -> None:
        self.note(f"{app} is {'not ready: ' + reason if reason else 'ready'}")

    async def attach(self, app: App) -> None:
        self.note(f"attach {app.name}")

    async def run_init(self, app: str, number: int, call: str, args: Mapping[str, Any], **options: Any) -> None:
        self.note(f"init {app} {number} {call} {dict(args)}")
        self.tokens.append(options["installation"])
        if self.errors:
            raise self.errors.pop(0)

    async def triggers(self, app: str | None = None) -> list[dict[str, Any]]:
        return []

    async def detach(self, app: str, *, forget: bool = False) -> None:
        self.note(f"detach {app}{' and forget' if forget else ''}")

    async def suspend(self, app: str) -> None:
        self.note(f"suspend {app}")

    async def retire(self, app: str, triggers: Sequence[str]) -> None:
        self.note(f"retire {app} {list(triggers)}")

    async def disconnect(self, whom: Callable[[Caller], bool]) -> None:
        for caller in (
            Caller("app", "tiny"),
            Caller("person", "owner", through="tiny"),
            Caller("app", "other"),
            Caller("person", "owner"),
        ):
            if whom(caller):
                self.note(f"disconnect {caller.actor} {caller.through}".rstrip())

    async def http(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        return web.json_response(
            {
                "actor": caller.actor,
                "through": caller.through,
                "run": caller.run.id if caller.run else "",
                "body": await request.text(),
            }
        )


@dataclass
class Platform:
    apps: Apps
    settings: AppSettings
    store: EventStore
    server: EmbeddedServer
    graph: RoutedGraph
    recorder: Recorder
    commands: Commands


@contextlib.asynccontextmanager
async def open_platform(folder: Path, *, egress: Egress | None = None, **changes: Any) -> AsyncIterator[Platform]:
    recorder = Recorder(folder / "journal")
    async with contextlib.AsyncExitStack() as stack:
        (folder / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
        server = await stack.enter_async_context(open_server(ServerSettings(folder / "nats")))
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        views = await stack.enter_async_context(open_small_views(store, folder / "graph.sqlite"))
        settings = AppSettings(
            folder / "apps",
            folder / "run",
            server.url,
            Path(pcloud.__file__).parent,
            supervision=QUICK,
            unconfined=True,
        )
        settings = replace(settings, **changes)
        commands = Commands(store, views.answers, views.loop, views.directory_loop)
        services = CoreServices(
            commands, views.directory, store, server, recorder, recorder, recorder, Visits(),
            GraphQuota(lambda app: 0, lambda app: 0),
        )  # fmt: skip
        apps = Apps(settings, services, egress=egress)
        stack.push_async_callback(apps.stop_all)
        await apps.start_all()
        yield Platform(apps, settings, store, server, views.answers, recorder, commands)


async def approve_all(grants: Sequence[Grant]) -> dict[str, bool]:
    return {grant.id: True for grant in grants}


async def die_at(folder: Path, archive: Path, fatal: str) -> None:
    def progress(step: str, detail: str) -> None:
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_platform(folder) as platform:
        await platform.apps.install(archive.read_bytes(), approve=approve_all, progress=progress)
        if fatal == "remove":
            platform.recorder.detach = lambda app, forget: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
            await platform.apps.remove("tiny")


if __name__ == "__main__":
    asyncio.run(die_at(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
