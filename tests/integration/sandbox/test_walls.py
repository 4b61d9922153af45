"""What a program in a sandbox is, sees and reaches."""

# What runs within a sandbox imports little and fails on purpose.
# ruff: noqa: PTH115, PTH118, PTH123, PTH208, SIM105

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.sandbox.prisoner import way_to_python
from tests.waiting import until


def status() -> dict[str, str]:
    from pathlib import Path

    return dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())


async def test_an_apps_process_has_no_capability_and_can_get_none(imprison):
    found = {name: value.split() for name, value in (await (await imprison()).do(status)).items()}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[kind][0], 16) == 0, kind
    assert found["NoNewPrivs"] == ["1"] and found["Seccomp"] == ["2"]
    assert "0" not in found["Uid"] and "0" not in found["Gid"] and set(found["Groups"]) <= {found["Gid"][0]}


async def test_each_app_is_a_user_of_its_own_and_stays_it(imprison, machine):
    one, other = await imprison("one"), await imprison("other")

    def user():
        import os

        return os.getuid()

    first = await one.do(user)
    assert first != await other.do(user) or not machine.users  # only root can change to another
    assert first in machine.users or first == os.getuid() != 0
    os.kill(one.supervisor.pid, signal.SIGKILL)
    await until(lambda: one.supervisor.starts == 2 and one.runs)
    assert await one.do(user) == first
    assert (one.plan.folder / "data").stat().st_uid == first


async def test_an_app_sees_no_other_apps_files_and_none_of_the_machines(imprison, tmp_path):
    def found(*places):
        import os

        return {place: os.listdir(place) for place in places if os.path.lexists(place)}

    await imprison("other")
    prisoner = await imprison()
    secret = tmp_path / "secret"
    secret.write_text("x")
    outside = [
        str(tmp_path),
        str(secret),
        str(tmp_path / "apps" / "other"),
        "/root",
        "/home",
        "/var",
        "/etc/shadow",
        "/etc/ssl/private",
    ]
    seen = await prisoner.do(found, *outside, "/sys/fs", "/sys/class", "/proc/1/root/etc/shadow")
    # A Python that is not the machine's is there, at its own place: the way to it shows nothing else.
    assert all(names == [way_to_python().get(place)] for place, names in seen.items()), seen


async def test_only_its_own_folder_and_tmp_can_be_written(imprison):
    def written(*folders):
        import os

        done = []
        for folder in folders:
            try:
                with open(os.path.join(folder, "new"), "w") as file:
                    file.write("x")
                done.append(folder)
            except OSError:
                pass
        return done

    prisoner = await imprison()
    places = (
        "/",
        "/app",
        "/data",
        "/tmp",
        "/dev/shm",
        "/usr",
        "/etc",
        "/run/pcloud",
        "/run/pcloud/keys",
        "/proc/sys/kernel",
    )
    assert await prisoner.do(written, *places) == ["/data", "/tmp", "/dev/shm"]
    assert (prisoner.plan.folder / "data" / "new").read_text() == "x"


async def test_it_reads_its_own_keys_and_its_code(imprison):
    def read():
        return [open("/run/pcloud/keys/bus.seed").read(), "serve" in open("/app/app.py").read()]

    assert await (await imprison()).do(read) == ["seed of tiny", True]


async def test_its_environment_is_what_core_gave_and_nothing_else(imprison, monkeypatch):
    monkeypatch.setenv("CORE_SECRET", "1")

    def environment():
        import os

        return sorted(os.environ)

    assert set(await (await imprison()).do(environment)) <= {"PATH", "PORT", "PCLOUD_APP", "LC_CTYPE", "PWD"}


async def test_a_librarys_path_in_the_manifest_is_not_used_outside(imprison, tmp_path):
    """bubblewrap runs as root: it must not load anything that an app names."""
    outside = {"LD_PRELOAD": "/nowhere/evil.so", "PYTHONPATH": "/app", "PORT": "8080", "PATH": "/usr/bin"}
    prisoner = await imprison(environment=outside)
    process = psutil.Process(prisoner.cell._outer)
    assert "LD_PRELOAD" not in process.environ()


async def test_it_sees_its_own_processes_alone(imprison):
    def processes():
        import os

        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]

    seen = await (await imprison()).do(processes)
    assert len(seen) <= 4 and max(seen) < 50


async def test_no_port_of_the_host_can_be_reached(imprison):
    def reached(port):
        import socket

        found = []
        for host in ("127.0.0.1", "localhost", "10.0.0.1", "1.1.1.1"):
            try:
                socket.create_connection((host, port), timeout=1).close()
                found.append(host)
            except OSError:
                pass
        return found

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await (await imprison()).do(reached, server.getsockname()[1]) == []


async def test_its_port_is_on_no_address_of_the_host(imprison):
    prisoner = await imprison()
    await prisoner.do("answer = 1")
    assert not any(
        one.laddr.port == 8080 and one.pid == prisoner.supervisor.pid for one in psutil.net_connections("inet")
    )


async def test_bus_and_gateway_are_on_its_loopback(imprison):
    async def bus(reader, writer):
        writer.write(b"the bus, " + await reader.readexactly(5))
        await writer.drain()
        writer.close()

    def say():
        import socket

        said = []
        for port, hello in ((4222, b"hello"), (4280, b"")):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(hello)
                said.append(connection.makefile("rb").read().decode())
        return said

    server = await asyncio.start_server(bus, "127.0.0.1", 0)
    async with server:
        prisoner = await imprison(bus=server.sockets[0].getsockname()[1])
        assert await prisoner.do(say) == ["the bus, hello", "the gateway"]


async def test_new_user_namespaces_and_other_ways_into_the_kernel_are_closed(imprison):
    def tried():
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        said = {}
        for name, call in {
            "unshare": lambda: libc.unshare(0x10000000),
            "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
            "setns": lambda: libc.setns(0, 0),
            "setuid": lambda: libc.setuid(0),
            "ptrace": lambda: libc.ptrace(16, 1, 0, 0),
            "chroot": lambda: libc.chroot(b"/tmp"),
        }.items():
            said[name] = call() < 0 and ctypes.get_errno() != 0
        return said

    prisoner = await imprison()
    outcome = await prisoner.do(tried)
    assert all(outcome.values()), outcome
    assert prisoner.runs and prisoner.supervisor.starts == 1


async def test_the_dialer_can_not_be_looked_into(imprison):
    def looked():
        import os

        found = []
        for pid in (name for name in os.listdir("/proc") if name.isdecimal() and int(name) not in (1, os.getpid())):
            try:
                found.append(os.readlink(f"/proc/{pid}/fd/3"))
            except OSError:
                pass
        return found

    assert await (await imprison()).do(looked) == []


async def test_a_sigterm_reaches_the_app_and_its_exit_code_is_reported(imprison, tmp_path):
    script = """
import signal, sys, time
def end(*_):
    print("was asked to stop", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
    prisoner = await imprison(script=script, dialled=False)
    await until(lambda: b"ready" in (tmp_path / "tiny.log").read_bytes())
    os.kill(prisoner.supervisor.pid, signal.SIGTERM)
    await until(lambda: prisoner.supervisor.starts == 2)
    assert "exit code 7" in (tmp_path / "tiny.log").read_text()
    await until(lambda: (tmp_path / "tiny.log").read_text().count("ready") == 2)
    await prisoner.supervisor.stop()
    assert (tmp_path / "tiny.log").read_text().count("was asked to stop") == 2


async def test_nothing_of_it_is_left_when_it_ends(imprison):
    def breed():
        import os
        import time

        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
                os._exit(0)
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]

    prisoner = await imprison()
    await prisoner.do(breed)
    cell = prisoner.cell
    members = cell.members()
    assert len(members) >= 4
    groups = [path.parent for path in cell.joins]
    await prisoner.supervisor.stop()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in members)
    assert not any(group.exists() for group in groups)


async def test_a_missing_program_is_reported(imprison, tmp_path):
    from pcloud.errors import Unavailable

    # Whether it has failed often enough by the time that somebody looks is not what this is about.
    with suppress(Unavailable):
        await imprison(command=("no-such-program",), dialled=False)
    await until(lambda: "'no-such-program' can't be started: No such file" in (tmp_path / "tiny.log").read_text())


async def test_a_sandbox_that_fails_to_start_is_reported_with_its_last_words(imprison, tmp_path):
    from dataclasses import replace

    from pcloud.errors import Unavailable
    from tests.integration.sandbox.prisoner import plan_for

    mounts = replace(plan_for(tmp_path, "model").mounts, code=Path("/nowhere"))
    with pytest.raises(Unavailable, match=r"ended before the app began.*bwrap: .*nowhere"):
        await imprison(mounts=replace(plan_for(tmp_path / "apps", "tiny").mounts, code=mounts.code))
