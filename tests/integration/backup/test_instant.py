"""The copy of a node's files is of one instant, whatever the processes write meanwhile, and they continue."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from core.node.folder import DataFolder
from core.node.instant import InstantCopies, standing_still, writing_processes
from eventstore import ConnectionSettings, ServerSettings, open_server, open_store
from pcloud.errors import Conflict, Unavailable
from tests.waiting import until, wait_until

FILES = 60
# Writes one number after the other, each to all files in order; a child does the same elsewhere. It also appends to one file.
WRITER = """
import itertools, os, sys
first, second, files = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = first if os.fork() else second
os.makedirs(data, exist_ok=True)
opened = [os.open(f"{data}/{n:03}", os.O_WRONLY | os.O_CREAT) for n in range(files)]
grown = os.open(f"{data}/grown.dat", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in itertools.count():
    for file in opened:
        os.pwrite(file, b"%012d" % number, 0)
    os.write(grown, b"%012d" % number)
"""


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "node")
    for part in (folder.nats / "jetstream", folder.secrets, *(folder.apps / app / "data" for app in ("one", "two"))):
        part.mkdir(parents=True)
    return folder


@pytest.fixture
def writer(folder: DataFolder) -> Iterator[psutil.Process]:
    places = [str(folder.apps / app / "data") for app in ("one", "two")]
    process = subprocess.Popen([sys.executable, "-c", WRITER, *places, str(FILES)])
    try:
        for app in ("one", "two"):
            wait_until((folder.apps / app / "data" / "grown.dat").exists, what="the writer")
        yield psutil.Process(process.pid)
    finally:
        for one in processes(process.pid):
            os.kill(one, signal.SIGKILL)
        process.wait()


def processes(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def copies(folder: DataFolder, pid: int) -> InstantCopies:
    return InstantCopies(folder, lambda: processes(pid), lambda: {"one": ["grown.dat"], "two": ["grown.dat"]})


def numbers(copy: Path) -> list[int]:
    return [int(path.read_bytes() or b"0") for path in sorted(copy.glob("[0-9]*"))]


async def test_copy_is_of_one_instant(folder: DataFolder, writer: psutil.Process) -> None:
    for _ in range(20):
        async with copies(folder, writer.pid).taken() as copy:
            for app in ("one", "two"):
                found = numbers(copy.root / "apps" / app / "data")
                # At an instant the first files have the next number, the others the one before.
                assert len(found) == FILES and found == sorted(found, reverse=True) and found[0] - found[-1] <= 1
                grown = copy.root / "apps" / app / "data" / "grown.dat"
                size = copy.grown[f"apps/{app}/data/grown.dat"]
                assert grown.samefile(folder.apps / app / "data" / "grown.dat"), "it was copied, not linked"
                assert abs(size // 12 - 1 - found[-1]) <= 1
    assert not folder.backup.exists()


async def test_processes_continue_after_the_copy(folder: DataFolder, writer: psutil.Process) -> None:
    async with copies(folder, writer.pid).taken():
        pass
    wait_until(continuing(folder), what="both to go on")
    with pytest.raises(OSError, match="the backup failed"):
        async with copies(folder, writer.pid).taken():
            raise OSError("the backup failed")
    wait_until(continuing(folder), what="both to go on")
    assert not folder.backup.exists()


async def test_processes_continue_after_a_copy_that_failed(folder: DataFolder, writer: psutil.Process) -> None:
    (folder.apps / "two" / "ports.json").symlink_to("/proc/self/mem")  # reading it fails
    with pytest.raises(Unavailable, match="a copy of the node's data could not be written"):
        async with copies(folder, writer.pid).taken():
            raise AssertionError("it was copied")
    wait_until(continuing(folder), what="both to go on")
    assert not folder.backup.exists()


async def test_cancelled_copy_leaves_no_process_stopped(folder: DataFolder, writer: psutil.Process) -> None:
    """The thread that stops them can't be cancelled, and goes on after the task that waits for it."""
    begun, go = threading.Event(), threading.Event()

    def found() -> list[int]:
        begun.set()
        go.wait()
        return processes(writer.pid)

    async def take() -> None:
        async with InstantCopies(folder, found, dict).taken():
            raise AssertionError("it was copied")

    task = asyncio.create_task(take())
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for that thread
    wait_until(continuing(folder), what="both to go on")


def continuing(folder: DataFolder) -> Callable[[], bool]:
    """Whether both processes have written since now."""
    before = {app: numbers(folder.apps / app / "data")[0] for app in ("one", "two")}
    return lambda: all(numbers(folder.apps / app / "data")[0] > at for app, at in before.items())


async def test_one_copy_at_a_time(folder: DataFolder, writer: psutil.Process) -> None:
    taking = copies(folder, writer.pid)
    async with taking.taken():
        with pytest.raises(Conflict, match="another backup of this cloud is running"):
            async with taking.taken():
                raise AssertionError("two at once")
    async with taking.taken():
        pass


async def test_copy_needs_room(folder: DataFolder, writer: psutil.Process) -> None:
    full = DataFolder(folder.root, reserve=2**62)
    with pytest.raises(Unavailable, match="there is no room for a copy"):
        async with copies(full, writer.pid).taken():
            raise AssertionError("it was copied")
    assert writer.status() != psutil.STATUS_STOPPED


async def test_process_started_meanwhile_makes_it_begin_again(folder: DataFolder, writer: psutil.Process) -> None:
    """Core may start an app's process at any moment, also while others stand still."""
    late: list[subprocess.Popen[bytes]] = []
    asked = 0

    def found() -> list[int]:
        nonlocal asked
        asked += 1
        if asked == 3:  # after those that stand still were found twice
            late.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))
        return [*processes(writer.pid), *(one.pid for one in late)]

    try:
        async with InstantCopies(folder, found, dict).taken() as copy:
            assert asked > 3 and numbers(copy.root / "apps" / "one" / "data")
    finally:
        for one in late:
            one.kill()
            one.wait()


def test_what_a_killed_node_left_is_removed(folder: DataFolder, writer: psutil.Process) -> None:
    (folder.backup / "copy" / "apps").mkdir(parents=True)
    copies(folder, writer.pid).clear()
    assert not folder.backup.exists()


async def test_no_copy_while_the_logs_server_is_being_started(folder: DataFolder, tmp_path: Path) -> None:
    """It writes to its files before it is ready, whether it died before the copy or during it."""
    installed = shutil.which("nats-server")
    assert installed
    program = Path(shutil.copy(installed, tmp_path / "nats-server"))
    async with open_server(ServerSettings(folder.nats, binary=str(program))) as server:

        def dies() -> list[int]:
            """Called when its process id is known already."""
            assert server.pid is not None
            program.rename(tmp_path / "away")  # so that it does not come back meanwhile
            os.kill(server.pid, signal.SIGKILL)
            wait_until(lambda: server.pid is None, what="its death to be noticed")
            return []

        for apps in (dies, list[int]):  # during the copy; before it
            with pytest.raises(Unavailable, match="is being started"):
                async with InstantCopies(folder, partial(writing_processes, server, apps), dict).taken():
                    raise AssertionError("it was copied")
        (tmp_path / "away").rename(program)
        await until(lambda: server.pid is not None, what="it to run again")
        async with InstantCopies(folder, partial(writing_processes, server, list[int]), dict).taken() as copy:
            assert (copy.root / "nats" / "jetstream").is_dir()


async def test_long_standstill_is_refused_with_its_reason_and_is_no_fault(folder: DataFolder) -> None:
    """The copy takes until the log's server counts as silent."""
    async with (
        open_server(ServerSettings(folder.nats)) as server,
        open_store(ConnectionSettings(server.url, server.core, patience=4.0)) as store,
    ):

        def slowly() -> dict[str, list[str]]:
            if psutil.Process(server.pid).status() == psutil.STATUS_STOPPED:
                wait_until(lambda: store.silence, what="the pause to be noticed")
                said.append(store.silence)
            return {}

        said: list[str] = []
        calls: Any = SimpleNamespace(stopped=nullcontext)
        taking = InstantCopies(
            folder, partial(writing_processes, server, list[int]), slowly, partial(standing_still, store, calls)
        )
        async with taking.taken():
            assert ["copied for a backup" in one for one in said] == [True]
            assert (store.silence, store.standstill, store.silences) == ("", "", 0)
