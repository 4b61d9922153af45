"""Puts a node together, in the order in which its parts start. `projections` and `graphs` choose the adapters of its projections.

    folder → nats-server → log → directory, graph, search, runs (each with its loop) → views, commands → calls, processor → API → apps → web

They stop in the reverse order: first the web server, which lets no new requests in, then the apps, the projections, and last the log.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web

import pcloud
from core.access.audit import ANYONE, Audit, api_refused, watch_bus
from core.access.caller import OWNER, Caller
from core.access.quota import GraphQuota, QuotaRefusals, Quotas
from core.apps import Apps, AppSettings
from core.apps.egress import Egress
from core.apps.protocols import CoreServices
from core.apps.review.limits import graph_allowance
from core.apps.sandbox import probe
from core.front.admin import admin_application
from core.front.authentication import Authentication
from core.front.console import CONSOLE, Console
from core.front.graph_endpoint import GraphEndpoint
from core.front.http import Front
from core.front.ingress.app_origins import AppOrigins
from core.front.ingress.forwarded import TrustedProxies
from core.front.ingress.hosts import own_domains
from core.front.ingress.lasting import Lasting
from core.front.ingress.proxy import Proxy
from core.front.ingress.s3_origin import S3, S3Origin
from core.front.ingress.signin import SignIn
from core.front.ingress.visits import Visits
from core.front.metrics import Meters
from core.front.own_origin import OwnOrigin
from core.front.platform.apps import app_fields
from core.front.platform.audit import audit_fields
from core.front.platform.calls import call_fields
from core.front.platform.notices import notice_fields
from core.front.platform.owner import owner_fields
from core.front.platform.runs import processor_fields
from core.front.platform.undo import undo_fields
from core.graph.api import Api, Sources
from core.graph.command import Commands
from core.graph.command.undo import Undoing
from core.graph.schema import ViewRegistry
from core.node.backups.scheduled import ScheduledBackups
from core.node.backups.since import RevokedSince
from core.node.clock import Clock
from core.node.conditions import fill_versions, watch_conditions
from core.node.data_version import DataVersion, become_ready, take_over
from core.node.disk import DiskGuard
from core.node.flight_recorder import keep_flight_recorder
from core.node.folder import DataFolder, open_folder
from core.node.instant import InstantCopies, standing_still, writing_processes
from core.node.node import Node
from core.node.projections import Projections, open_projections
from core.node.restored import finish_restore
from core.node.side_tasks import run_beside, side_tasks
from core.node.traced import api_extensions, log_with, trace_folding
from core.people.device.pair import Devices
from core.people.device.seen import LastSeen
from core.people.notice import NoticeBoard
from core.people.owner.credential import change_credential, make_owner, verify_owner
from core.people.owner.session import Sessions
from core.people.owner.statement import Statements
from core.settings import DEFAULT_DOMAIN, NodeSettings
from core.shipped.places import APPS
from core.trace import Tracer
from core.trace.opening import open_tracer
from core.work.call import open_calls
from core.work.processor import Processor
from core.work.processor.forget import forget_entities
from core.work.processor.read_graph import ReadGraph
from core.work.processor.runaway import Runaways
from eventstore import ConnectionSettings, EmbeddedServer, EventStore, ServerSettings, open_server, open_store
from pcloud.errors import Unavailable
from projections.directory import Changed

__all__ = ["Node", "open_node"]


@asynccontextmanager
async def open_node(settings: NodeSettings) -> AsyncGenerator[Node]:
    """Start everything, yield the node, stop everything. Raises the reason if a part can't start or can't continue."""
    async with side_tasks() as group, AsyncExitStack() as stack:
        tracer = stack.enter_context(open_tracer(settings.traces))
        folder = stack.enter_context(open_folder(settings.data, reserve=settings.disk_reserve))
        data_version = await asyncio.to_thread(take_over, folder)
        recorder = stack.enter_context(keep_flight_recorder(folder.root))
        server = await stack.enter_async_context(open_server(ServerSettings(folder.nats)))
        run_beside(stack, group, "nats-server", fail_with(server))
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        clock = Clock(store, trusted=settings.trust_clock)
        with store.starting():
            await clock.look()
            projections = await open_projections(stack, group, folder, store, settings.graph)
            node = await open_platform(stack, group, settings, folder, server, store, projections, tracer, data_version)
        recorder.started(told(settings, node.apps.sandbox))
        if folder.restored.exists():  # old devices and sessions end before anything listens
            await clock.until_right()
            with store.starting():
                await finish_restore(folder, projections.directory, node.commands, node.devices, node.sessions)
        await serve(stack, node)
        await clock.until_right()
        with store.starting():
            await node.commands.finish_forgetting()
            node.new_owner_token = await make_owner(projections.directory, node.commands)
            node.backups.cloud_since = await store.oldest_time()
        await node.apps.start_all()
        await asyncio.to_thread(become_ready, folder, data_version)
        run_beside(stack, group, "backups", node.backups.keep())
        yield node


def told(settings: NodeSettings, sandbox: str) -> dict[str, Any]:
    """What a bug report may hold of the settings: neither the folder nor a name or an address."""
    return {
        "pcloud": version("pcloud-node"), "loopback": settings.on_loopback, "own_domain": settings.domain != DEFAULT_DOMAIN,
        "unconfined": settings.unconfined, "sandbox": sandbox, "traces": settings.traces, "disk_reserve": settings.disk_reserve,
        "graph": "neo4j" if settings.graph else "sqlite",
    }  # fmt: skip


async def fail_with(server: EmbeddedServer) -> None:
    raise Unavailable(await server.failed)


async def open_platform(
    stack: AsyncExitStack,
    group: asyncio.TaskGroup,
    settings: NodeSettings,
    folder: DataFolder,
    server: EmbeddedServer,
    store: EventStore,
    projections: Projections,
    tracer: Tracer,
    data_version: DataVersion,
) -> Node:
    disk = DiskGuard(folder, settings.disk_reserve)
    meters = Meters()
    store.admit_when(disk.check)
    store.on_append(meters.appended)
    run_beside(stack, group, "disk", disk.watch())
    graphs, directory = projections.graphs, projections.directory
    registry = ViewRegistry(directory)
    stack.callback(registry.close)
    audit = await stack.enter_async_context(Audit.open(store.audit))
    run_beside(stack, group, "bus denials", watch_bus(server, audit))
    refusals = QuotaRefusals(
        lambda app, kind, what: audit.refused("limit", f"app:{app}", kind, what, outcome="UNAVAILABLE")
    )
    quotas = Quotas(refusals=refusals)
    graph_quota = GraphQuota(projections.written.bytes_of, partial(graph_allowance, directory), refusals)
    commands = Commands(
        log_with(tracer, store), graphs.answers, graphs.loop, projections.directory_loop, quotas, graph_quota
    )
    calls = await stack.enter_async_context(open_calls(store, server, directory, commands, audit=audit, quotas=quotas))
    calls.on_called(meters.called)
    calls.trace_with(tracer)
    graph = ReadGraph(graphs.answers, graphs.loop, registry, lambda: store.problem or graphs.problem or disk.problem)
    processor = Processor(store, graph, calls, commands, projections.runs)
    processor.trace_with(tracer)
    for name, loop in (("graph", projections.graph_loop), ("search", projections.search_loop)):
        stack.callback(trace_folding(tracer, name, loop))
    commands.on_forgotten(partial(forget_entities, store, projections.runs))
    api = Api(
        Sources(store, graphs.answers, graphs.loop, projections.directory_loop, projections.search, projections.search_loop),
        registry, commands, on_refused=partial(api_refused, audit), extensions=api_extensions(tracer),
    )  # fmt: skip
    stack.push_async_callback(api.close)
    undoing = Undoing(store, graphs.answers, graphs.loop, commands)
    api.add_fields([*processor_fields(processor), *call_fields(calls), *audit_fields(store), *undo_fields(undoing)])
    app_settings = AppSettings(
        folder.apps,
        folder.runtime,
        server.url,
        Path(pcloud.__file__).parent,
        bundled=APPS,
        files=settings.files,
        unconfined=settings.unconfined,
        machine=await asyncio.to_thread(probe),
    )
    egress = Egress(audit=audit)
    stack.callback(egress.close)
    visits = Visits(lambda app, why: audit.refused("api", f"app:{app}", "visitor", why))
    services = CoreServices(commands, directory, store, server, api, calls, processor, visits, graph_quota)
    apps = Apps(
        app_settings,
        services,
        on_limit=lambda app, kind, detail: audit.refused("limit", f"app:{app}", kind, detail),
        egress=egress,
    )
    stack.push_async_callback(apps.stop_all)
    api.add_fields(app_fields(apps.list))
    runaways = await stack.enter_async_context(Runaways.open(lambda app, reason: apps.pause(app, reason), audit))
    processor.on_runaway(runaways)
    calls.on_runaway(runaways)
    run_beside(stack, group, "processor", processor.run())
    statements, lasting = Statements(folder.key("session.key"), store.epoch), Lasting()
    domains = own_domains(
        settings.domain, folder.key("domain.key") if settings.on_loopback else None, settings.public_url
    )
    sessions = Sessions(directory, commands)
    stack.callback(directory.on_changed(partial(end_who_may_not_be_here, lasting)))
    run_beside(stack, group, "sessions", sessions.keep(lasting.review))
    api.add_fields(owner_fields(sessions, partial(change_credential, directory, commands)))
    devices = Devices(directory, commands, calls, LastSeen(directory, commands))
    run_beside(stack, group, "devices", devices.last_seen.keep())
    notices = NoticeBoard(directory, commands)
    api.add_fields(notice_fields(notices))
    copies = InstantCopies(
        folder,
        partial(writing_processes, server, apps.processes),
        apps.append_only,
        partial(standing_still, store, calls),
    )
    await asyncio.to_thread(copies.clear)
    node = Node(
        settings, folder, server, store, projections, api, apps, calls, processor, devices, sessions, statements, domains, lasting, visits,
        commands, disk, audit, quotas, meters, notices, copies, ScheduledBackups(folder, RevokedSince(store, directory, commands)),
    )  # fmt: skip
    watch_conditions(node, shipped := dict[str, str](), data_version)
    stack.callback(directory.on_changed(partial(look_again, notices)))
    run_beside(stack, group, "notices", notices.keep())
    run_beside(stack, group, "bundled versions", fill_versions(apps, shipped))
    return node


def look_again(notices: NoticeBoard, changed: Changed) -> None:
    if changed.touches("App", "Device"):
        notices.look()


def end_who_may_not_be_here(lasting: Lasting, changed: Changed) -> None:
    """Disconnect on every node, no matter which node revoked the right."""
    if changed.touches("Device", "Owner", "Session"):
        lasting.review()


async def serve(stack: AsyncExitStack, node: Node) -> None:
    """Open the web address and the administration socket."""
    settings, directory = node.settings, node.projections.directory

    def authenticate(token: str) -> Caller | None:
        return OWNER if verify_owner(directory, token) else node.devices.by_token(token)

    async def is_owner(token: str) -> bool:
        return verify_owner(directory, token)

    async def dial_store() -> socket.socket:
        return await node.apps.connect(directory.holder("object-storage"), "s3")

    def refused(app: str, path: str, why: str) -> None:
        node.audit.refused("web", ANYONE, f"{app}{path}", why)

    sign_in = SignIn(node.sessions, node.statements, node.domains, is_owner)
    proxy = await stack.enter_async_context(Proxy())
    authentication = Authentication(authenticate, sign_in, refused, node.devices.watches)
    graph = GraphEndpoint(node.api, authentication, node.lasting)
    console = Console(api=node.api, admin=admin_application(node), sign_in=sign_in, lasting=node.lasting)
    s3 = await stack.enter_async_context(S3Origin(dial_store))
    front = Front(
        node.domains,
        OwnOrigin(authentication, graph, sign_in, node.domains, node.apps, node.metrics, lambda: node.problem),
        {CONSOLE: console, S3: s3},
        AppOrigins(node.apps, sign_in, proxy, node.visits, node.lasting, node.domains, graph),
        sign_in,
        refused,
        TrustedProxies(settings.trusted_proxies),
    )
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
    node.listens = f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}"
    local = settings.domain if settings.on_loopback else settings.host
    node.address = settings.public_url or f"http://{local}:{port}"
    admin = web.AppRunner(admin_application(node), access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await admin.setup()
    stack.push_async_callback(admin.cleanup)
    node.folder.admin_socket.unlink(missing_ok=True)
    await web.UnixSite(admin, node.folder.admin_socket).start()
    node.folder.admin_socket.chmod(0o600)
    for rebuilds in node.projections.rebuilds.values():
        stack.callback(rebuilds.stop)  # first: the socket waits for requests that wait for a rebuild
