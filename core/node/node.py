"""A running node: its parts, and its operations as a whole."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from core.access.audit import Audit
from core.access.quota import Quotas
from core.apps import Apps
from core.front.ingress.hosts import Domains
from core.front.ingress.lasting import Lasting
from core.front.ingress.s3_origin import S3
from core.front.ingress.visits import Visits
from core.front.metrics import Meters, Metrics
from core.graph.api import Api
from core.graph.command import Commands
from core.node.backups.revocations import cloud_of
from core.node.backups.scheduled import ScheduledBackups
from core.node.disk import DiskGuard
from core.node.folder import DataFolder
from core.node.instant import InstantCopies
from core.node.lag import projection_lags
from core.node.projections import Projections
from core.node.verify import verify_projections
from core.node.whole_graph import WholeGraph
from core.people.device.pair import Devices
from core.people.notice import NoticeBoard
from core.people.owner.credential import change_credential
from core.people.owner.session import Sessions
from core.people.owner.statement import Statements
from core.settings import NodeSettings
from core.work.call import Calls
from core.work.processor import Processor
from eventstore import EmbeddedServer, EventStore
from pcloud.errors import Rejected, Unavailable
from projections.rebuild import Progress, Rebuilt

__all__ = ["Node"]

log = logging.getLogger("pcloud.node")
STATUS_SECONDS = 2.0


@dataclass(slots=True)
class Node:
    """A running node. `address`: of its web server. `new_owner_token`: the owner's credential, if this start has made it."""

    settings: NodeSettings
    folder: DataFolder
    server: EmbeddedServer
    store: EventStore
    projections: Projections
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
    notices: NoticeBoard
    copies: InstantCopies
    backups: ScheduledBackups
    new_owner_token: str | None = None
    address: str = ""
    listens: str = ""
    metrics: Metrics = field(init=False)
    _whole_graph: WholeGraph = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.meters, self)
        self._whole_graph = WholeGraph(self.store, self.projections.graphs, self.folder)

    @property
    def problems(self) -> dict[str, str]:
        """By kind, why this node accepts no writes or starts no runs; '' where nothing is wrong."""
        disk = self.disk.problem
        silence = "" if self.store.standstill else self.store.silence
        return {
            "log-stalled": self.server.problem or silence or self.store.unreadable,
            "clock-wrong": self.store.held,
            "disk-full": disk,
            "runs-full": "" if disk else self.processor.problem,
            "graph-away": self.projections.graphs.problem,
        }

    @property
    def problem(self) -> str:
        """The first of its `problems`, or why it stands still for a moment, which is not one of them; '' without any."""
        return next(filter(None, self.problems.values()), self.store.silence)

    @property
    def private_address(self) -> str:
        """An address that other programs on this machine can't guess; '' without such an address."""
        port = self.address.rpartition(":")[2]
        return f"http://{self.domains.unguessable}:{port}" if self.domains.unguessable else ""

    @property
    def s3(self) -> str:
        """The public address of S3; '' without a public name."""
        return self.domains.public_address(S3)

    def sign_in_link(self, address: str) -> str:
        """Return a link at this node's `address` that signs one browser in, once, within ten minutes."""
        host = address.partition("://")[2]
        return f"{address}/signin?code={self.statements.link_code(host, self.sessions.credential)}"

    async def change_credential(self, present: str | None = None) -> str:
        """See `core.people.owner.credential`."""
        return await change_credential(self.projections.directory, self.commands, present)

    async def status(self) -> dict[str, Any]:
        """What `pcloud status` shows; without the log, what is known without it."""
        last, lags = await projection_lags(self._ends, self.projections)
        for name, rebuilds in self.projections.rebuilds.items():
            if rebuilds.progress is not None:
                lags[name]["building"] = str(rebuilds.progress)
        apps = [
            {"name": app.name, "version": app.version, "state": app.state, "error": app.error}
            for app in await self.apps.list()
        ]
        return {
            "address": self.address, "private_address": self.private_address, "nats": self.server.url, "epoch": self.store.epoch,
            "cloud": cloud_of(self.store.id_key), "events": last, "views": lags, "apps": apps, "runs": await self.projections.runs.counts(),
            "waiting": (await self.processor.backlog.waiting()).told(),
            "disk_free": self.folder.free_bytes(), "problem": self.problem,
            "backup": self.backups.told(), "warning": self.apps.warning, "notices": len(self.notices.list()),
        }  # fmt: skip

    async def _ends(self) -> tuple[int, int]:
        """The newest sequence of the log and of the runs; while the log does not answer, how far the views have folded them."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(STATUS_SECONDS):
                return await self.store.last_sequence(), await self.store.runs.last_sequence()
        return self.projections.directory_loop.checkpoint.sequence, self.projections.runs_loop.checkpoint.sequence

    @asynccontextmanager
    async def instant_copy(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield what `core.backup` stores: a copy of this node's files as they were at one instant, with its apps' versions."""
        async with self.copies.taken() as copy:
            apps = {app.name: app.version for app in await self.apps.list()}
            yield {"root": str(copy.root), "grown": copy.grown, "seconds": copy.seconds, "apps": apps}

    async def whole_graph(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield what `core.export` writes of the graph; see `core.node.whole_graph`."""
        apps = {app.name: app.version for app in await self.apps.list()}
        async with aclosing(self._whole_graph.records(apps)) as records:
            async for record in records:
                yield record

    async def verify(self, progress: Callable[[str, str], None]) -> dict[str, Any]:
        return await verify_projections(
            self.store, self.projections.directory, self.projections.graphs, self.folder, progress
        )

    async def rebuild(
        self, projection: str, to: str, back: bool, progress: Callable[[str, str], None]
    ) -> dict[str, Any]:
        """Rebuild `projection` beside the one in use, in the store `to` ('': the same store), or go back to the previous version."""
        rebuilds = self.projections.rebuilds.get(projection)
        if rebuilds is None:
            raise Rejected(
                f"the view {projection!r} can't be rebuilt: use one of {', '.join(self.projections.rebuilds)}"
            )

        def tell(at: Progress) -> None:
            progress("building", str(at))

        done: Rebuilt = await (rebuilds.back(tell) if back else rebuilds.rebuild(to, tell))
        return {"view": projection, **asdict(done)}

    async def run_until_stopped(self) -> None:
        """Run until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await stopping.wait()
        log.info("stopping")
