"""One start of one app in its sandbox: command line, orders for the starter, listeners, limits, and its end.

    core ── bwrap (dies with core) ── reaper ── starter, which becomes the app     dialer

The caller starts `command` with `descriptors` open, then awaits `open`; at the end, `close`. Nothing is left then:
when the reaper ends, the kernel ends every process in the sandbox.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from core.apps.sandbox.accept import Open, accept_each, forward
from core.apps.sandbox.command import APP, STARTER, Mounts, namespaces, program, python, write_etc
from core.apps.sandbox.door import Door
from core.apps.sandbox.limits import Limits
from core.apps.sandbox.loopback import LOOPBACK, Listen, Opening
from core.apps.sandbox.machine import Machine
from core.apps.sandbox.ports import Ports, Published, connect_host
from core.apps.sandbox.privileged import PRIVILEGED, open_privileged
from core.apps.sandbox.refused_calls import system_call_filter
from core.apps.sandbox.user import give, own_user
from core.apps.sandbox.watch import Watch
from core.apps.tree import remove_tree
from pcloud.errors import Unavailable

__all__ = ["BUS_PORT", "GATEWAY_PORT", "Alarms", "Cell", "CellPlan", "node_id"]

BUS_PORT, GATEWAY_PORT = 4222, 4280
OPEN_SECONDS = 20.0
# An app needs one connection to the bus; each costs nats-server memory.
MOST_TO_BUS = 16
# The most that Linux allows a process by default (fs.nr_open); the machine's own hard limit applies as well.
MOST_FILES = 2**20
Serve = Callable[[socket.socket], Awaitable[None]]
MayReach = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class CellPlan:
    """`folder`: the app's own on this node, with its user id. `bus`: port of the bus on the host. `ports`: those that
    the app publishes; `reaches`: those of other apps that it may use. `outside`: where core listens for outside
    hosts, `hosts`: their addresses by name. `dialled`: core has to reach a port inside."""

    app: str
    folder: Path
    mounts: Mounts
    command: Sequence[str]
    environment: Mapping[str, str]
    bus: int
    limits: Limits = field(default=Limits())
    dialled: bool = False
    ports: Sequence[Published] = ()
    reaches: Sequence[Published] = ()
    outside: Sequence[Opening] = ()
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Alarms:
    """`limit` receives each limit that an app hits (memory, processes, disk) with a sentence, `stop` the reason if the app has
    to be stopped for good."""

    limit: Callable[[str, str], None]
    stop: Callable[[str], None]


class Cell:
    """`gateway` serves a connection of the app. `may_reach` is asked at each connection to another app's port."""

    def __init__(
        self, machine: Machine, plan: CellPlan, ports: Ports, gateway: Serve, may_reach: MayReach, alarms: Alarms
    ):
        self._machine, self._plan, self._ports = machine, plan, ports
        self._gateway, self._may_reach = gateway, may_reach
        self._alarms = alarms
        self.user = own_user(plan.folder / "user", machine.users)
        self._cgroup = machine.cgroups.group(node_id(plan.folder.parent), plan.app) if machine.cgroups else None
        self._tasks: list[asyncio.Task[None]] = []
        self._open = Open()  # its open connections to core
        self._limit_hit = ""
        self._watch: Watch | None = None
        self._outer = 0
        self.reached_bus = False
        self.pid: int | None = None
        self._prepare()

    def _prepare(self) -> None:
        plan = self._plan
        write_etc(plan.mounts.etc, self.user or os.getuid(), plan.hosts)
        if plan.mounts.cache is not None:
            _only(plan.mounts.cache)
        for place in (plan.mounts.data, plan.mounts.keys, plan.mounts.cache):
            if place is not None:
                give(place, self.user)
        if self._cgroup is not None:
            self._cgroup.make(plan.limits)
        self._door = Door()
        self._files = [_memory_file("orders", json.dumps(self._orders()).encode())]
        words = self._arguments()
        self._files.append(_memory_file("arguments", b"".join(os.fsencode(word) + b"\0" for word in words)))

    # --- for the supervisor -------------------------------------------------------------------------------

    @property
    def command(self) -> list[str]:
        orders, arguments = self._files[0], self._files[-1]
        starter = [python(), "-I", "-S", STARTER, str(orders), str(self._door.theirs.fileno())]
        return [self._machine.bubblewrap, "--args", str(arguments), "--", *starter]

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (*self._files, self._door.theirs.fileno())

    @property
    def joins(self) -> tuple[Path, ...]:
        """Files of control groups; the process writes 0 to each before it becomes `command`."""
        return self._cgroup.entries if self._cgroup else ()

    async def open(self, outer: int) -> None:
        """Receive the listening sockets and serve them; raises `Unavailable` if the sandbox did not start. `outer`: bubblewrap's pid."""
        self._outer = outer
        self._door.handed_over()
        self._close_files()
        plan, (low, others) = self._plan, self._openings()
        opened = await self._door.opened(len(others), OPEN_SECONDS)
        self.pid = opened.pid
        for listener, opening in zip(opened.listeners, others, strict=True):
            self._begin(_serving(listener, opening.serve(listener, self._open)))
        privileged = await open_privileged(opened.pid, [(one.address, one.port) for one in low])
        for listener, opening in zip(privileged, low, strict=True):
            self._begin(_serving(listener, opening.serve(listener, self._open)))
        await self._ports.open(plan.app, plan.ports, self.dial)
        self._door.go()
        kept = [place for place in (plan.mounts.data, plan.mounts.cache) if place is not None]
        self._watch = Watch(plan.limits, kept, self._cgroup, self.members, self._hit, self._over)
        self._begin(self._watch.run())

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the app and its process group; bubblewrap does not forward signals."""
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def why(self, code: int) -> str:
        """Why the process ended, if it hit a limit; otherwise ''."""
        if self._watch is not None:
            self._watch.look()
        return f"{self._limit_hit} (exit code {code})" if self._limit_hit else ""

    async def close(self) -> None:
        """Close every listener after the process's end and remove what is left of the sandbox."""
        if self._watch is not None:
            self._watch.look()
        await self._ports.close(self._plan.app)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        self._close_files()
        self._door.close()
        self.pid = None
        if self._cgroup is not None:
            await asyncio.to_thread(self._cgroup.remove)

    # --- reaching the app ---------------------------------------------------------------------------

    async def dial(self, port: int) -> socket.socket:
        """Connect to a port that the app listens on; raises `Unavailable`."""
        return await self._door.dial(port)

    def members(self) -> list[int]:
        """The ids of all its processes, as seen outside."""
        if self._cgroup is not None:
            return self._cgroup.members()
        try:
            return [child.pid for child in psutil.Process(self._outer).children(recursive=True)]
        except psutil.Error:
            return []

    # --- within -------------------------------------------------------------------------------------------------------

    def _openings(self) -> tuple[list[Opening], list[Opening]]:
        """Where core listens inside: on privileged ports, and on all others."""
        plan = self._plan
        openings = [
            Opening(
                LOOPBACK, BUS_PORT, lambda listener, of_app: forward(listener, self._connect_bus, of_app, MOST_TO_BUS)
            ),
            Opening(LOOPBACK, GATEWAY_PORT, lambda listener, of_app: accept_each(listener, self._gateway, of_app)),
            *(Opening(one.address, one.port, forwarding(partial(self._reach, one))) for one in plan.reaches),
            *plan.outside,
        ]
        low = [one for one in openings if one.port in PRIVILEGED]
        return low, [one for one in openings if one.port not in PRIVILEGED]

    async def _connect_bus(self) -> socket.socket:
        connection = await connect_host(self._plan.bus)
        self.reached_bus = True
        return connection

    async def _reach(self, other: Published) -> socket.socket:
        if not self._may_reach(self._plan.app, other.app):
            raise Unavailable(f"{self._plan.app} has no grant to use {other.app} any more")
        return await self._ports.connect(other.app, other.port)

    def _begin(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    def _orders(self) -> dict[str, object]:
        plan, limits = self._plan, self._plan.limits
        bounds = {"CORE": 0, "NOFILE": limits.files or MOST_FILES, "NPROC": limits.tasks + (1 if self._cgroup else 0)}
        if limits.disk:
            bounds["FSIZE"] = limits.disk
        if not (self.user or os.getuid()):
            del bounds["NPROC"]  # the kernel does not count root's processes
        return {
            "listen": [(one.address, one.port) for one in self._openings()[1]], "dial": plan.dialled, "limits": bounds, "user": self.user,
            "folder": APP, "command": list(plan.command), "environment": dict(plan.environment),
        }  # fmt: skip

    def _arguments(self) -> list[str]:
        plan = self._plan
        words = [*namespaces(root=os.getuid() == 0), *program(plan.mounts, plan.limits)]
        if rules := system_call_filter():
            self._files.append(_memory_file("seccomp", rules))
            words += ["--seccomp", str(self._files[-1])]
        return words

    def _close_files(self) -> None:
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()

    def _hit(self, kind: str, detail: str) -> None:
        if kind == "memory":
            self._limit_hit = detail
        self._alarms.limit(kind, detail)

    def _over(self, kind: str, detail: str) -> None:
        self._limit_hit = detail
        self._alarms.limit(kind, detail)
        if kind == "disk":
            self._alarms.stop(detail)
        else:
            with suppress(ProcessLookupError):
                os.killpg(self._outer, signal.SIGKILL)


def forwarding(connect: Callable[[], Awaitable[socket.socket]]) -> Listen:
    return lambda listener, of_app: forward(listener, connect, of_app)


async def _serving(listener: socket.socket, work: Awaitable[None]) -> None:
    with listener:
        await work


def _only(folder: Path) -> None:
    """Make the folder; remove others beside it, which belong to earlier code."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for other in folder.parent.iterdir():
        if other != folder:
            remove_tree(other)


def _memory_file(name: str, content: bytes) -> int:
    """Return the descriptor of an unnamed file in memory, positioned at its beginning."""
    descriptor = os.memfd_create(name)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def node_id(folder: Path) -> str:
    """Distinguishes the control groups of nodes on one machine, by the folder of the node's apps."""
    return hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:8]
