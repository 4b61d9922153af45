"""Puts a node together: the one place that names the concrete adapters, and the order in which they start and stop.

    folder → nats-server → log → directory, graph, search, runs (each with its loop) → views, commands → calls, processor → API → apps → web

They stop in the reverse order: first nobody new is let in, then apps finish what they do, then the views, last the log.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

import pcloud
from core.access.audit import ANYONE, Audit, api_refused, watch_bus
from core.access.caller import OWNER, Caller
from core.access.quota import GraphQuota, Quotas, Refusals
from core.apps import Apps, AppSettings
from core.apps.egress import Egress
from core.apps.review.limits import graph_allowance
from core.apps.sandbox import probe
from core.front.admin import admin_application
from core.front.console import Console
from core.front.http import Front
from core.front.ingress.hosts import Domains, own_domains
from core.front.ingress.lasting import Lasting
from core.front.ingress.proxy import Proxy
from core.front.ingress.signin import SignIn
from core.front.ingress.visits import Visits
from core.front.metrics import Meters, Metrics
from core.front.platform.audit import audit_fields
from core.front.platform.calls import call_fields
from core.front.platform.owner import owner_fields
from core.front.platform.runs import processor_fields
from core.front.platform.undo import undo_fields
from core.graph.api import Api
from core.graph.command import Commands
from core.graph.command.undo import Undoing
from core.graph.schema import ViewRegistry, builtin_catalog
from core.node.disk import DiskGuard
from core.node.folder import DataFolder, open_folder
from core.node.graphs import Graphs, open_graphs
from core.node.side_tasks import run_beside, side_tasks
from core.node.traced import api_extensions, log_with, trace_folding
from core.node.verify import verify_views
from core.people.device.pair import Devices
from core.people.owner.credential import change_credential, make_owner, verify_owner
from core.people.owner.session import Sessions
from core.people.owner.statement import Statements
from core.settings import GraphServer, NodeSettings
from core.trace import Tracer
from core.trace.opening import open_tracer
from core.work.call import Calls, open_calls
from core.work.processor import Processor
from core.work.processor.audited import audited_call
from core.work.processor.forget import forget_entities
from core.work.processor.runaway import Runaways
from eventstore import ConnectionSettings, EmbeddedServer, EventStore, ServerSettings, open_server, open_store
from pcloud.errors import Rejected, Unavailable
from projections.directory import Changed, Directory, open_directory
from projections.graph.port import GraphReader
from projections.handed import HandedLog
from projections.loop import ProjectionLoop
from projections.opening import open_view
from projections.rebuild import Progress, Rebuilds, Rebuilt
from projections.runs import RunLog, RunsView, open_runs_on
from projections.search.switch import SearchSwitch
from projections.search.versions import TantivyVersions
from projections.versions import VersionFile
from projections.written import Written, open_written

__all__ = ["Node", "open_node"]

log = logging.getLogger("pcloud.node")
# Search commits are dear, so it waits so long for more events, and longer while they come, unless somebody waits for it.
SEARCH_GATHER = 0.2
# Many runs end at a time, and nobody waits for the view of them.
RUNS_GATHER = 0.1
BUNDLED = Path(__file__).parent.parent.parent / "apps"


@dataclass(frozen=True, slots=True)
class Views:
    """The views with the loops that keep them."""

    directory: Directory
    directory_loop: ProjectionLoop[Any]
    graphs: Graphs
    search: SearchSwitch
    search_rebuilds: Rebuilds
    search_loop: ProjectionLoop[Any]
    runs: RunsView
    runs_loop: ProjectionLoop[Any]
    written: Written

    @property
    def rebuilds(self) -> dict[str, Rebuilds]:
        """Of what can be built beside what is in use, by its name."""
        return {"graph": self.graphs.rebuilds, "search": self.search_rebuilds}

    @property
    def graph(self) -> GraphReader:
        """What questions about any type go to."""
        return self.graphs.answers

    @property
    def graph_loop(self) -> ProjectionLoop[Any]:
        """The loop that folds the apps' types."""
        return self.graphs.folding


@dataclass(slots=True)
class Node:
    """A running node. `address`: of its web server. `new_owner_token`: the owner's credential, when this start has made it."""

    settings: NodeSettings
    folder: DataFolder
    server: EmbeddedServer
    store: EventStore
    views: Views
    api: Api
    apps: Apps
    calls: Calls
    processor: Processor
    devices: Devices
    sessions: Sessions
    statements: Statements
    domains: Domains
    lasting: Lasting
    visits: Visits
    commands: Commands
    disk: DiskGuard
    audit: Audit
    quotas: Quotas
    meters: Meters
    new_owner_token: str | None
    address: str = ""
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.meters, self)

    @property
    def problem(self) -> str:
        """Why this node takes no writes or starts no runs; '' when it does."""
        return self.disk.problem or self.processor.problem or self.views.graphs.problem

    @property
    def private_address(self) -> str:
        """Its address that other programs on this machine can't guess; '' when it has none."""
        port = self.address.rpartition(":")[2]
        return f"http://{self.domains.unguessable}:{port}" if self.domains.unguessable else ""

    def sign_in_link(self, address: str) -> str:
        """A link at this node's `address` that signs one browser in, once, within ten minutes."""
        host = address.removeprefix("http://")
        return f"{address}/signin?code={self.statements.link_code(host, self.sessions.credential)}"

    async def change_credential(self, present: str | None = None) -> str:
        """See `core.people.owner.credential`."""
        return await change_credential(self.views.directory, self.commands, present)

    async def status(self) -> dict[str, Any]:
        last = await self.store.last_sequence()
        runs_last = await self.store.runs.last_sequence()
        loops = [
            ("directory", self.views.directory_loop, last),
            ("graph", self.views.graph_loop, last),
            ("search", self.views.search_loop, last),
            ("runs", self.views.runs_loop, runs_last),
        ]
        lags: dict[str, dict[str, Any]] = {
            name: {"sequence": loop.checkpoint.sequence, "lag": end - loop.checkpoint.sequence}
            for name, loop, end in loops
        }
        for name, rebuilds in self.views.rebuilds.items():
            if rebuilds.progress is not None:
                lags[name]["building"] = str(rebuilds.progress)
        apps = [
            {"name": app.name, "version": app.version, "state": app.state, "error": app.error}
            for app in await self.apps.list()
        ]
        return {
            "address": self.address, "private_address": self.private_address, "nats": self.server.url, "epoch": self.store.epoch,
            "events": last, "views": lags, "apps": apps, "runs": await self.views.runs.counts(),
            "disk_free": self.folder.free_bytes(), "problem": self.problem,
            "warning": self.apps.warning,
        }  # fmt: skip

    async def verify(self, progress: Callable[[str, str], None]) -> dict[str, Any]:
        return await verify_views(self.store, self.views.directory, self.views.graphs, self.folder, progress)

    async def rebuild(self, view: str, to: str, back: bool, progress: Callable[[str, str], None]) -> dict[str, Any]:
        """Build `view` anew beside the one in use, in the store `to` ('': as it is), or go back to the previous."""
        rebuilds = self.views.rebuilds.get(view)
        if rebuilds is None:
            raise Rejected(f"the view {view!r} can't be rebuilt: use one of {', '.join(self.views.rebuilds)}")

        def tell(at: Progress) -> None:
            progress("building", str(at))

        done: Rebuilt = await (rebuilds.back(tell) if back else rebuilds.rebuild(to, tell))
        return {"view": view, **asdict(done)}

    async def run_until_stopped(self) -> None:
        """Until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await stopping.wait()
        log.info("stopping")


@asynccontextmanager
async def open_node(settings: NodeSettings) -> AsyncIterator[Node]:
    """Start everything, yield the node, stop everything. Raises the reason when a part can't start or can't go on."""
    async with side_tasks() as group, AsyncExitStack() as stack:
        tracer = stack.enter_context(open_tracer(settings.traces))
        folder = stack.enter_context(open_folder(settings.data, reserve=settings.disk_reserve))
        server = await stack.enter_async_context(open_server(ServerSettings(folder.nats)))
        run_beside(stack, group, "nats-server", fail_with(server))
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        views = await open_views(stack, group, folder, store, settings.graph)
        node = await open_platform(stack, group, settings, folder, server, store, views, tracer)
        await serve(stack, node)
        await node.apps.start_all()
        yield node


async def fail_with(server: EmbeddedServer) -> None:
    raise Unavailable(await server.failed)


async def open_views(
    stack: AsyncExitStack,
    group: asyncio.TaskGroup,
    folder: DataFolder,
    store: EventStore,
    server: GraphServer | None = None,
) -> Views:
    """Open the views and fold what they have missed."""
    directory = await open_directory(store, builtin_catalog(), folder.directory)
    stack.push_async_callback(directory.save, always=True)
    directory_loop: ProjectionLoop[Any] = ProjectionLoop(store, directory)
    run_beside(stack, group, "directory", directory_loop.run())
    run_beside(stack, group, "directory's snapshot", directory.keep_saved())
    graphs = await open_graphs(stack, group, folder, store, directory, directory_loop, server)
    search, search_rebuilds = await open_view(
        partial(SearchSwitch, "search"), {"tantivy": TantivyVersions(folder.search, graphs.answers)},
        VersionFile(folder.search / "versions.json"), store, "tantivy", folder.room,
    )  # fmt: skip
    stack.push_async_callback(search.close)
    runs_log = RunLog(store)
    runs = await open_runs_on(folder.runs, runs_log)
    stack.push_async_callback(runs.close)
    handed = HandedLog(store, graphs.folding)
    search_loop = ProjectionLoop(handed, search, gather=SEARCH_GATHER, behind=graphs.folding)
    written = await open_written(folder.written, store)
    stack.push_async_callback(written.save)
    run_beside(stack, group, "written", ProjectionLoop(HandedLog(store, graphs.folding), written).run())
    runs_loop = ProjectionLoop(runs_log, runs, gather=RUNS_GATHER)
    run_beside(stack, group, "runs", runs_loop.run())
    run_beside(stack, group, "search", keep_search(store, search, search_loop))
    run_beside(stack, group, "rebuilds of search", search_rebuilds.run())
    return Views(directory, directory_loop, graphs, search, search_rebuilds, search_loop, runs, runs_loop, written)


async def keep_search(store: EventStore, search: SearchSwitch, loop: ProjectionLoop[Any]) -> None:
    """A new index takes what the graph holds first, and then only what is new on the log."""
    await search.view.begin(store.epoch)
    await loop.run()


async def open_platform(
    stack: AsyncExitStack,
    group: asyncio.TaskGroup,
    settings: NodeSettings,
    folder: DataFolder,
    server: EmbeddedServer,
    store: EventStore,
    views: Views,
    tracer: Tracer,
) -> Node:
    disk = DiskGuard(folder, settings.disk_reserve)
    meters = Meters()
    store.admit_when(disk.check)
    store.on_append(meters.appended)
    run_beside(stack, group, "disk", disk.watch())
    graphs, directory = views.graphs, views.directory
    registry = ViewRegistry(directory)
    stack.callback(registry.close)
    audit = await stack.enter_async_context(Audit.open(store.audit))
    run_beside(stack, group, "bus denials", watch_bus(server, audit))
    refusals = Refusals(lambda app, kind, what: audit.refused("limit", f"app:{app}", kind, what, outcome="UNAVAILABLE"))
    quotas = Quotas(refusals=refusals)
    graph_quota = GraphQuota(views.written.bytes_of, partial(graph_allowance, directory), refusals)
    commands = Commands(log_with(tracer, store), graphs.answers, graphs.loop, views.directory_loop, quotas, graph_quota)
    calls = await stack.enter_async_context(open_calls(store, server, directory, commands, audit=audit, quotas=quotas))
    calls.on_called(meters.called)
    calls.trace_with(tracer)
    processor = Processor(
        store,
        graphs.answers,
        graphs.loop,
        registry,
        calls,
        commands,
        views.runs,
        directory,
        find_call=partial(audited_call, store),
        away=lambda: graphs.problem,
    )
    processor.trace_with(tracer)
    for name, loop in (("graph", views.graph_loop), ("search", views.search_loop)):
        stack.callback(trace_folding(tracer, name, loop))
    commands.on_forgotten(partial(forget_entities, store, views.runs))
    api = Api(
        store, graphs.answers, graphs.loop, views.search, views.search_loop, registry, commands,
        on_refused=partial(api_refused, audit), directory_loop=views.directory_loop, extensions=api_extensions(tracer),
    )  # fmt: skip
    stack.push_async_callback(api.close)
    undoing = Undoing(store, graphs.answers, graphs.loop, commands)
    api.add_fields([*processor_fields(processor), *call_fields(calls), *audit_fields(store), *undo_fields(undoing)])
    app_settings = AppSettings(
        folder.apps,
        folder.runtime,
        server.url,
        Path(pcloud.__file__).parent,
        bundled=BUNDLED,
        unconfined=settings.unconfined,
        machine=await asyncio.to_thread(probe),
    )
    egress = Egress(audit=audit)
    stack.callback(egress.close)
    visits = Visits(lambda app, why: audit.refused("api", f"app:{app}", "visitor", why))
    apps = Apps(
        app_settings,
        commands=commands,
        directory=directory,
        store=store,
        server=server,
        api=api,
        calls=calls,
        processor=processor,
        visits=visits,
        graph_quota=graph_quota,
        on_limit=lambda app, kind, detail: audit.refused("limit", f"app:{app}", kind, detail),
        egress=egress,
    )
    stack.push_async_callback(apps.stop_all)
    runaways = await stack.enter_async_context(Runaways.open(lambda app, reason: apps.pause(app, reason), audit))
    processor.on_runaway(runaways)
    calls.on_runaway(runaways)
    await commands.finish_forgetting()
    run_beside(stack, group, "processor", processor.run())
    token = await make_owner(directory, commands)
    statements, lasting = Statements(folder.key("session.key"), store.epoch), Lasting()
    domains = own_domains(settings.domain, folder.key("domain.key") if settings.on_loopback else None)
    sessions = Sessions(directory, commands)
    stack.callback(directory.on_changed(partial(end_who_may_not_be_here, lasting)))
    run_beside(stack, group, "sessions", sessions.keep(lasting.review))
    api.add_fields(owner_fields(sessions, partial(change_credential, directory, commands)))
    devices = Devices(directory, commands, calls)
    return Node(
        settings, folder, server, store, views, api, apps, calls, processor, devices, sessions, statements, domains, lasting, visits,
        commands, disk, audit, quotas, meters, token,
    )  # fmt: skip


def end_who_may_not_be_here(lasting: Lasting, changed: Changed) -> None:
    """On every node, whichever one took the right away."""
    if changed.touches("Device", "Owner", "Session"):
        lasting.review()


async def serve(stack: AsyncExitStack, node: Node) -> None:
    """Open the web address and the administration socket."""
    settings, directory = node.settings, node.views.directory

    def authenticate(token: str) -> Caller | None:
        return OWNER if verify_owner(directory, token) else node.devices.by_token(token)

    async def is_owner(token: str) -> bool:
        return verify_owner(directory, token)

    def refused(app: str, path: str, why: str) -> None:
        node.audit.refused("web", ANYONE, f"{app}{path}", why)

    sign_in = SignIn(node.sessions, node.statements, node.domains, is_owner)
    proxy = await stack.enter_async_context(Proxy())
    front = Front(
        api=node.api, apps=node.apps, sign_in=sign_in, proxy=proxy, visits=node.visits, domains=node.domains,
        console=Console(api=node.api, admin=admin_application(node), sign_in=sign_in, lasting=node.lasting),
        authenticate=authenticate, lasting=node.lasting, refused=refused,
        metrics=node.metrics, watches=node.devices.watches,
    )  # fmt: skip
    runner = front.runner(shutdown_timeout=2.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        reason = error.strerror or error
        raise Unavailable(
            f"{settings.host}:{settings.port} can't be listened on ({reason}): choose another address with --listen"
        ) from error
    port = runner.addresses[0][1]
    node.address = f"http://{settings.domain if settings.on_loopback else settings.host}:{port}"
    admin = web.AppRunner(admin_application(node), access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await admin.setup()
    stack.push_async_callback(admin.cleanup)
    node.folder.admin_socket.unlink(missing_ok=True)
    await web.UnixSite(admin, node.folder.admin_socket).start()
    node.folder.admin_socket.chmod(0o600)
    for rebuilds in node.views.rebuilds.values():
        stack.callback(rebuilds.stop)  # first of all: the socket waits for those who wait for it
