"""An app that takes more than it may harms only itself, and core learns of it."""

# What runs within a sandbox imports little and fails on purpose.
# ruff: noqa: PTH108, PTH123, SIM115

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import pytest

from core.apps.sandbox import watch
from core.apps.sandbox.cgroup import Cgroup, find_cgroups
from core.apps.sandbox.limits import Limits
from tests.waiting import until

MIB = 2**20


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.05)
    monkeypatch.setattr(watch, "MOST_CALM", 0.05)


def breed():
    """Start as many children as it is allowed."""
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


def hold(size):
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    return len(held)


async def test_a_fork_bomb_ends_at_the_apps_own_limit(imprison):
    other = await imprison("other", processes=48)
    bomb = await imprison("bomb", processes=48)
    assert 30 < await bomb.do(breed) < 48
    await until(lambda: bomb.limits)
    assert bomb.limits[0][0] == "processes" and "48 processes" in bomb.limits[0][1]
    assert await other.do("import os\npid = os.fork()\nif pid == 0: os._exit(0)\nanswer = os.waitpid(pid, 0)[1]") == 0
    assert not other.limits


async def test_without_control_groups_the_apps_own_user_bounds_a_fork_bomb(imprison):
    bomb = await imprison("bomb", processes=48, without={"cgroups": None})
    other = await imprison("other", processes=48, without={"cgroups": None})
    assert 30 < await bomb.do(breed) < 52
    assert await other.do("import os\npid = os.fork()\nif pid == 0: os._exit(0)\nanswer = os.waitpid(pid, 0)[1]") == 0


def open_files():
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)


async def test_an_app_opens_as_many_files_as_its_limit_or_the_machine_allows(imprison):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert await (await imprison("bounded", files=200)).do(open_files) == [200, 200]
    assert await (await imprison("boundless", files=0)).do(open_files) == [min(most, 2**20)] * 2


async def test_memory_beyond_the_limit_ends_only_the_app(imprison, tmp_path):
    other = await imprison("other")
    greedy = await imprison("greedy", memory=128 * MIB)
    assert await greedy.do(hold, 64 * MIB) == 64 * MIB
    with pytest.raises((AssertionError, ValueError, ConnectionError)):
        await greedy.do(hold, 512 * MIB)
    await until(lambda: greedy.supervisor.starts >= 2)
    assert greedy.limits[0][0] == "memory"
    assert "more than its 128 MiB of memory" in (tmp_path / "greedy.log").read_text()
    assert await other.do("answer = 1") == 1 and other.supervisor.starts == 1


async def test_without_control_groups_core_ends_an_app_that_takes_too_much_memory(imprison):
    greedy = await imprison("greedy", memory=128 * MIB, without={"cgroups": None})
    with pytest.raises((AssertionError, ValueError, ConnectionError)):
        await greedy.do(
            f"import time\nheld = bytearray({400 * MIB})\nheld[::4096] = b'x' * len(held[::4096])\ntime.sleep(60)"
        )
    await until(lambda: greedy.supervisor.starts >= 2)
    assert greedy.limits[0][0] == "memory"


async def test_tmp_counts_as_memory_and_is_bounded(imprison):
    def fill():
        size = 0
        try:
            with open("/tmp/much", "wb", buffering=0) as file:
                while size < 2**30:
                    size += file.write(bytes(2**20))
        except OSError:
            return size
        return size

    assert await (await imprison(memory=128 * MIB)).do(fill) <= 32 * MIB


def fill(count, size):
    """Files of `size` bytes."""
    for number in range(count):
        with open(f"/data/{number}", "wb") as file:
            file.write(bytes(size))


async def test_a_full_quota_is_reported_with_the_figures(imprison):
    prisoner = await imprison(disk=8 * MIB)
    await prisoner.do(fill, 7, MIB)
    await prisoner.do("answer = 1")
    assert not prisoner.over
    await prisoner.do(fill, 12, MIB)
    await until(lambda: prisoner.over)
    assert re.fullmatch(r"its data folder holds more than its quota of 8 MiB", prisoner.over[0])
    assert prisoner.limits[0][0] == "disk"


async def test_one_file_can_not_pass_the_quota_at_all(imprison):
    def grow():
        import errno

        try:
            with open("/data/big", "wb") as file:
                file.write(bytes(9 * 2**20))
        except OSError as error:
            return errno.errorcode[error.errno]
        return ""

    assert await (await imprison(disk=8 * MIB)).do(grow) == "EFBIG"


async def test_files_without_a_name_count_too(imprison):
    def hide():
        import os

        global held
        held = []
        for number in range(12):
            file = open(f"/data/{number}", "wb", buffering=0)
            os.unlink(file.name)
            file.write(bytes(2**20))
            held.append(file)

    prisoner = await imprison(disk=8 * MIB)
    await prisoner.do(f"{_text(hide)}\nhide()\nimport threading\nthreading.main_thread().held = held\nanswer = 1")
    await until(lambda: prisoner.over)


async def test_without_a_quota_the_disk_is_unlimited(imprison):
    prisoner = await imprison(disk=0)
    await prisoner.do(fill, 12, MIB)
    await prisoner.do("answer = 1")
    assert not prisoner.over


async def test_connections_without_end_are_bounded_and_core_goes_on(imprison):
    def connect():
        import select
        import socket

        held = [socket.create_connection(("127.0.0.1", 4222), timeout=5) for _ in range(600)]
        waiting = select.poll()
        for one in held:
            waiting.register(one, select.POLLIN | select.POLLHUP)
        while len(waiting.poll(5000)) < 600 - 16:
            pass
        return len(waiting.poll(0))

    import asyncio

    server = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    async with server:
        prisoner = await imprison(bus=server.sockets[0].getsockname()[1])
        assert await prisoner.do(connect) == 600 - 16
        assert await prisoner.do("answer = 1") == 1


async def test_a_flood_of_lines_is_dropped_and_counted(imprison, tmp_path):
    script = "for n in range(50_000): print('x' * 50)\nopen('/data/end', 'w')\nimport time; time.sleep(60)"
    prisoner = await imprison(script=script, dialled=False)
    await until(lambda: "lines are dropped" in (tmp_path / "tiny.log").read_text())
    await until((prisoner.plan.folder / "data" / "end").exists)
    await prisoner.supervisor.stop()
    said = (tmp_path / "tiny.log").read_text()
    assert said.count("xxx\n") <= 5000 and re.search(r"4\d{4} lines were dropped", said)


def _text(action):
    import inspect
    import textwrap

    return textwrap.dedent(inspect.getsource(action))


HOLD = "import sys; held = bytearray(int(sys.argv[1])); held[::4096] = b'x' * len(held[::4096])"


@pytest.mark.parametrize(
    ("own", "above", "words"), [(64, 512, "more than its 64 MiB"), (512, 64, "within its own limit")]
)
def test_a_kill_for_memory_blames_the_limit_that_was_met(own: int, above: int, words: str) -> None:
    """The group above stands for the whole machine, which no test may exhaust."""
    found = find_cgroups()
    assert found is not None
    machine = found.group("test", f"machine-{os.getpid()}")
    app = Cgroup(machine.memory / "app", machine.pids / "app", found.version)
    try:
        machine.make(Limits(above * MIB, 64, 0))
        if found.version == 2:
            (machine.memory / "cgroup.subtree_control").write_text("+memory +pids")
        app.make(Limits(own * MIB, 64, 0))
        said: list[str] = []
        watched = watch.Watch(
            Limits(own * MIB, 64, 0), [], app, list, lambda kind, text: said.append(text), lambda kind, text: None
        )
        join = "; ".join(f"echo 0 > {entry}" for entry in app.entries)
        subprocess.run(["sh", "-c", f'{join}; exec "$0" -c "$@"', sys.executable, HOLD, str(256 * MIB)])
        watched.look()
        assert len(said) == 1 and words in said[0]
    finally:
        app.remove()
        machine.remove()
