"""One app on this node: its code, environment and credentials, its connection to core, and its process.

Every step can be repeated and finds its earlier results. This file does not write the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import psutil

from core.apps.archive.archive import LOCK, unpack_archive
from core.apps.egress import Tally
from core.apps.process.confined import WEB_PORT, confined_plan
from core.apps.process.credentials import bus_key, web_key
from core.apps.process.environment import key_variables, variables
from core.apps.process.folders import AppFolders
from core.apps.process.gateway import AppGateway, socket_path
from core.apps.process.log import AppLog
from core.apps.process.reach import Reach
from core.apps.process.supervisor import ProcessState, Start, Supervisor
from core.apps.process.venv import Environments
from core.apps.protocols import CoreServices
from core.apps.review.limits import more_room
from core.apps.sandbox import Cell, Published
from core.apps.sandbox.cell import Alarms
from core.apps.sandbox.inside import Inside
from core.apps.sandbox.loopback import LOOPBACK
from core.apps.sandbox.ports import connect_host
from core.apps.settings import AppSettings
from pcloud.errors import Unavailable
from projections.directory import App

__all__ = ["Instance"]

log = logging.getLogger("pcloud.app")
POLL = 0.05
WARNING = (
    "{name} runs UNCONFINED: it can read and change every file that this user can, and use the whole network. "
    "Only run apps that you would run by hand."
)


class Instance:
    """Made for one archive of one app; call `stop` before another one is made. `alarms.limit` receives `log`, too."""

    def __init__(
        self,
        app: App,
        settings: AppSettings,
        environments: Environments,
        core: CoreServices,
        reach: Reach,
        alarms: Alarms,
    ):
        self.app = app
        self.folders = AppFolders.of(settings.folder, app.name)
        self.port = 0
        self._settings = settings
        self._environments = environments
        self._environment: Path | None = None
        self._core = core
        self._reach = reach
        self._alarms = alarms
        self._gateway: AppGateway | None = None
        self._cell: Cell | None = None
        self._inside: Inside | None = None
        self._reached: frozenset[Published] | None = None  # other apps' ports that it can reach, once its sandbox runs
        self._log: AppLog | None = None
        self._reason, self._serves = "", False
        self.supervisor: Supervisor | None = None

    # --- steps of the installation, in order -------------------------------------------------------------------------

    async def unpack(self, fetch: Callable[[str, Path], Awaitable[None]]) -> None:
        """Put the app's code in place; `fetch` writes the archive of a sha256 to a file if the code is missing."""
        self.folders.make()
        if not self.folders.code(self.app.archive).exists():
            try:
                await fetch(self.app.archive, self.folders.fetched)
                unpack = partial(unpack_archive, self.folders.fetched, bounds=self._settings.bounds)
                await asyncio.to_thread(self.folders.put_code, self.app.archive, unpack)
            finally:
                self.folders.fetched.unlink(missing_ok=True)
        await asyncio.to_thread(lambda: self.folders.drop_code(keep=self.app.archive))

    async def provide_environment(self) -> None:
        if self.app.manifest.run is not None:
            self._environment = await self._environments.provide(self.lock())

    def provide_credentials(self) -> str:
        """Return the public half of the app's bus key."""
        web_key(self.folders.web_key)
        return bus_key(self.folders.bus_seed)

    async def start(self) -> None:
        """Open the gateway and keep the process running; does nothing for an app without a process."""
        if self._gateway is None:
            path = None if self._settings.confines else socket_path(self._settings.runtime, self.app.name)
            self._gateway = await AppGateway(
                self.app.name, path, self._core.api, self._core.calls, self._core.visits, self._not_ready
            ).__aenter__()
        if self.app.manifest.run is None or self.supervisor is not None:
            return
        bounds = self._settings.supervision
        self._log = AppLog(self.folders.log, limit=bounds.log_bytes, longest=bounds.log_line)
        if not self._settings.confines:
            warning = WARNING.format(name=self.app.name)
            log.warning(warning, extra={"app": self.app.name})
            self._log.note(warning)
        self.supervisor = Supervisor(self.app.name, self._prepare, self._log, bounds, self._ended, self._flooded)
        self.supervisor.start()

    async def settled(self) -> None:
        """Wait until the process has stayed up, and listens if it has pages; raises `Unavailable`."""
        if self.supervisor is None:
            return
        await self.supervisor.settled()
        if self.app.manifest.actions and self._cell is not None:
            await self._on_the_bus(self.supervisor)
        if self.app.web:
            await self._listening_on_its_port()

    async def ready(self) -> None:
        """Wait until the app does not say that it can't answer calls; raises `Unavailable` with its reason."""
        seconds = self._settings.supervision.start
        try:
            async with asyncio.timeout(seconds):
                while self._reason and not self._serves:  # noqa: ASYNC110 - there is no event of another process
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise Unavailable(f"the app {self.app.name} is not ready after {seconds:.0f} s: {self._reason}") from error

    async def stop(self) -> None:
        """End the process, then close the gateway, because the process may still use it while it stops."""
        if self.supervisor is not None:
            await self.supervisor.stop()
            self.supervisor = None
        if self._log is not None:
            self._log.close()
            self._log = None
        await self._reach.ports.close(self.app.name)
        if self._gateway is not None:
            gateway, self._gateway = self._gateway, None
            await gateway.__aexit__()

    # --- queries ---------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """True between `start` and `stop`."""
        return self._gateway is not None

    def lacks_ports(self, of: Collection[str]) -> bool:
        """Return True if it may reach a port of these apps that did not exist when its process started."""
        if self._reached is None:
            return False
        return any(port not in self._reached and port.app in of for port in self._reach.reaches(self.app.name))

    @property
    def sandbox(self) -> str:
        return self._settings.sandbox

    @property
    def outside(self) -> Tally:
        """Its traffic with outside hosts since core's start."""
        return self._reach.outside(self.app.name)

    def processes(self) -> list[int]:
        """The ids of its processes on this machine. Reads /proc: call it in a thread."""
        pid = self.supervisor.pid if self.supervisor is not None else None
        if pid is None:
            return []
        if self._cell is not None:
            return self._cell.members()
        try:
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.Error:
            return []

    @property
    def condition(self) -> tuple[str, str]:
        """The state of its process, `not-ready` if it runs and can't answer calls now, `degraded` if it answers them and not
        everything works; and why."""
        supervisor = self.supervisor
        if supervisor is None:
            return ("stopped", "") if self.app.manifest.run is not None else ("", "")
        if supervisor.state is not ProcessState.RUNNING:
            return supervisor.state.value, supervisor.reason
        if self._reason:
            return "degraded" if self._serves else "not-ready", self._reason
        on_its_way = self.app.manifest.actions and self._cell is not None and not self._cell.reached_bus
        return (ProcessState.STARTING if on_its_way else supervisor.state).value, ""

    @property
    def web_address(self) -> tuple[str, int] | Inside | None:
        """The address of the app's own web server while its process runs."""
        running = self.supervisor is not None and self.supervisor.state is ProcessState.RUNNING
        if not running or not self.port:
            return None
        if self._cell is None:
            return ("127.0.0.1", self.port)
        if self._inside is None or self._inside.dial != self._cell.dial:
            self._inside = Inside(self.app.name, self.port, self._cell.dial)
        return self._inside

    async def _on_the_bus(self, supervisor: Supervisor) -> None:
        seconds = self._settings.supervision.start
        try:
            async with asyncio.timeout(seconds):
                while self._cell is not None and not self._cell.reached_bus:
                    if supervisor.state is not ProcessState.RUNNING:
                        await supervisor.settled()
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise Unavailable(
                f"the app {self.app.name} has actions, and has not connected to the bus at NATS_URL within {seconds:.0f} s"
            ) from error

    async def _listening_on_its_port(self) -> None:
        seconds = self._settings.supervision.start
        try:
            async with asyncio.timeout(seconds):
                while not await answers(self.web_address):  # noqa: ASYNC110 - there is no event of another process
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise Unavailable(
                f"the app {self.app.name} does not listen on 127.0.0.1 at the port that its environment variable PORT "
                f"names, after {seconds:.0f} s"
            ) from error

    def lock(self) -> str:
        """The text of the app's lock, '' without one."""
        file = self.folders.code(self.app.archive) / LOCK
        return file.read_text() if file.exists() else ""

    # --- within ------------------------------------------------------------------------------------------------------

    async def _prepare(self) -> Start:
        run = self.app.manifest.run
        assert run is not None and self._environment is not None
        ports = {name: self._reach.ports.published(self.app.name, name) for name in run.ports}
        if self._settings.confines:
            self.port = WEB_PORT if run.web else 0
            return self._confined(self._environment, ports)
        self.port = free_port() if run.web else 0
        # Without a sandbox it listens on the host itself, where all apps share 127.0.0.1.
        ports = {name: port._replace(address=LOOPBACK) for name, port in ports.items()}
        await self._reach.ports.open(self.app.name, [], connect_host)
        own = {"PCLOUD_DATA": str(self.folders.data), "HOME": str(self.folders.data)}
        keys = key_variables(self.folders, self.folders.bus_seed.parent)
        doors = {"PCLOUD_URL": self._open_gateway.url, "NATS_URL": self._settings.nats_url}
        path = f"{self._environment}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        replaced = self._settings.overrides.get(self.app.name, {})
        ours = {**own, **keys, **doors, "PATH": path}
        environment = variables(self.app, ours, settings=replaced, port=self.port, ports=ports)
        return Start(run.command, environment, self.folders.code(self.app.archive))

    def _confined(self, environment: Path, ports: Mapping[str, Published]) -> Start:
        plan = confined_plan(self.app, self.folders, environment, self._reach, self._settings, ports)
        self._cell = Cell(
            self._settings.machine, plan, self._reach.ports, self._open_gateway.serve, self._reach.may_reach,
            Alarms(self._limit, self._full),
        )  # fmt: skip
        self._reached = frozenset(plan.reaches)
        # The command that starts the sandbox itself gets nothing from the manifest.
        bare = {"PATH": os.defpath, "PCLOUD_DATA": str(self.folders.data)}
        return Start(self._cell.command, bare, self.folders.root, self._cell)

    @property
    def _open_gateway(self) -> AppGateway:
        assert self._gateway is not None, "`start` opens it"
        return self._gateway

    def _not_ready(self, reason: str, serves: bool = False) -> None:
        """The app can't answer calls now, or does not do everything if it `serves`; with the reason '' all works again."""
        self._reason, self._serves = reason, serves
        self._core.calls.not_ready(self.app.name, "" if serves else reason)

    def _ended(self) -> None:
        if self._reason:
            self._not_ready("")
        self._core.calls.lost(self.app.name)

    def _limit(self, kind: str, detail: str) -> None:
        log.warning("%s: %s", self.app.name, detail, extra={"app": self.app.name})
        if self._log is not None:
            self._log.note(detail)
        self._alarms.limit(kind, detail)

    def _full(self, reason: str) -> None:
        """Have the app paused, which ends the process for good."""
        self._alarms.stop(f"{reason}: {more_room(self.app.name)}")

    def _flooded(self) -> None:
        log.warning("%s logs too much at once, some lines are dropped", self.app.name, extra={"app": self.app.name})
        self._alarms.limit("log", "it logged too much at once: some lines were dropped")


async def answers(address: tuple[str, int] | Inside | None) -> bool:
    """Return True if a server accepts connections at the address."""
    if address is None:
        return False
    try:
        connection = await (address.connect() if isinstance(address, Inside) else connect_host(address[1]))
    except Unavailable:
        return False
    connection.close()
    return True


def free_port() -> int:
    """Return a loopback port that is free now. If another program takes it before the app does, the app ends and is
    started with another port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
