"""A program in a real sandbox that runs a test's functions, and core's side of it."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.apps.process.log import AppLog
from core.apps.process.supervisor import ProcessState, Start, Supervisor
from core.apps.sandbox import Cell, CellPlan, Limits, Machine, Ports
from core.apps.sandbox.cell import Alarms
from core.apps.sandbox.command import Mounts
from core.apps.sandbox.ports import connect_host
from core.apps.settings import Supervision
from tests.waiting import PATIENCE

PORT = 8080
SETTINGS = Supervision(stop=3.0, back_off=0.02, longest_back_off=0.2, settle=0.1, start=15.0, healthy=0.5)
SERVE = """
import json, os, socket, sys, threading
def serve(connection):
    with connection, connection.makefile("rwb") as file:
        names = {}
        try:
            exec(json.loads(file.readline()), names)
            said = {"answer": names["answer"]}
        except BaseException as error:
            said = {"error": repr(error)}
        file.write(json.dumps(said).encode() + b"\\n")
with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as server:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""


def way_to_python() -> dict[str, str]:
    """What alone an app may see in each folder above a Python that is not the machine's: the next one on the way."""
    base = Path(sys.base_prefix).resolve()
    above = [] if base.is_relative_to("/usr") else [folder for folder in base.parents if folder != Path("/")]
    return {str(folder): base.relative_to(folder).parts[0] for folder in above}


@dataclass
class Prisoner:
    """`limits`: those that it has hit so far. `over`: why it has to be stopped for good."""

    plan: CellPlan
    machine: Machine
    ports: Ports
    log: AppLog
    limits: list[tuple[str, str]] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    allowed: bool = True
    cell: Cell | None = None
    said: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.plan.app, self._prepare, self.log, SETTINGS, lambda: None)

    def _prepare(self) -> Start:
        async def gateway(connection: Any) -> None:
            with connection:
                await asyncio.get_running_loop().sock_sendall(connection, b"the gateway")

        def may_reach(app: str, other: str) -> bool:
            return self.allowed

        self.cell = Cell(
            self.machine, self.plan, self.ports, gateway, may_reach,
            Alarms(lambda kind, detail: self.limits.append((kind, detail)), self.over.append),
        )  # fmt: skip
        return Start(self.cell.command, {"PATH": os.defpath}, self.plan.folder, self.cell)

    async def start(self) -> Prisoner:
        self.supervisor.start()
        await self.supervisor.settled()
        return self

    async def do(self, action: Callable[..., Any] | str, *args: Any) -> Any:
        """Return the result of a function inside, which sees nothing but its arguments."""
        code = action if isinstance(action, str) else source(action, args)
        reader, writer = await self._connect()
        writer.write(json.dumps(code).encode() + b"\n")
        line = await reader.readline()
        writer.close()
        said = json.loads(line)
        assert "error" not in said, said
        return said["answer"]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Wait until it listens."""
        from pcloud.errors import Unavailable

        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    assert self.cell is not None
                    return await asyncio.open_connection(sock=await self.cell.dial(PORT))
                except Unavailable:
                    await asyncio.sleep(0.01)

    @property
    def runs(self) -> bool:
        return self.supervisor.state is ProcessState.RUNNING


def source(action: Callable[..., Any], args: tuple[Any, ...]) -> str:
    return f"from __future__ import annotations\n{textwrap.dedent(inspect.getsource(action))}\nanswer = {action.__name__}(*{args!r})"


def plan_for(folder: Path, name: str, script: str = SERVE, **changes: Any) -> CellPlan:
    """A plan with folders below `folder`; the script is its code."""
    root = folder / name
    for part in ("code", "data", "keys"):
        (root / part).mkdir(parents=True, exist_ok=True)
        (root / part).chmod(0o755)
    (root / "code" / "app.py").write_text(script)
    (root / "keys" / "bus.seed").write_text(f"seed of {name}")
    (root / "keys" / "bus.seed").chmod(0o600)
    limits = Limits(
        memory=changes.pop("memory", 256 * 2**20),
        processes=changes.pop("processes", 48),
        disk=changes.pop("disk", 2**30),
        files=changes.pop("files", 4096),
    )
    plan = CellPlan(
        name, root, Mounts(root / "code", root / "data", root / "keys", root / "etc"),
        (os.path.realpath(sys.executable), "app.py"), {"PORT": str(PORT), "PATH": "/usr/bin", "PCLOUD_APP": name}, 0, limits, dialled=True,
    )  # fmt: skip
    return replace(plan, **changes)


__all__ = ["PORT", "SERVE", "Prisoner", "connect_host", "plan_for", "source"]
