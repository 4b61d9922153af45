"""Attacks by taking more than a fair share: memory, processes, disk, log, descriptors, time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from pcloud.errors import Conflict, PCloudError
from tests.attacks.conftest import Cloud
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")
MEMORY, PROCESSES, DISK = 268_435_456, 48, 67_108_864  # as in the attacker's manifest


@pytest.fixture(autouse=True)
def attacker_is_back(cloud: Cloud) -> Iterator[None]:
    """Each attack begins with a running app and an empty folder."""

    yield
    if state(cloud)["state"] == "PAUSED":
        clear(cloud)
        wait_until(lambda: steer(cloud, "resume"), what="the end of the pause")
    elif any("stays_behind" in " ".join(one.cmdline()) for one in members(cloud)):
        steer(cloud, "restart")
    clear(cloud)
    wait_until(lambda: answers(cloud), what="the attacker's return")


def clear(cloud: Cloud) -> None:
    for entry in (cloud.data / "apps" / "attacker" / "data").iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def answers(cloud: Cloud) -> bool:
    with suppress(PCloudError):
        return bool(cloud.call("attacker/greet"))
    return False


def state(cloud: Cloud, app: str = "attacker") -> dict[str, Any]:
    async def ask(client: Any) -> Any:
        return await client.ask("GET", "/apps")

    return next(one for one in cloud._with_client(ask) if one["name"] == app)


def steer(cloud: Cloud, command: str) -> bool:
    """Return False while other work on the app is in progress."""

    async def ask(client: Any) -> None:
        await client.ask("POST", f"/apps/attacker/{command}")

    with suppress(Conflict):
        cloud._with_client(ask)
        return True
    return False


def members(cloud: Cloud) -> list[psutil.Process]:
    """All processes of the attacker's user."""
    user = int((cloud.data / "apps" / "attacker" / "user").read_text())
    return [one for one in psutil.process_iter() if user_of(one) == user]


def user_of(process: psutil.Process) -> int:
    try:
        return process.uids().real
    except psutil.Error:
        return -1


def test_an_attack_by_forking_ends_at_its_number_of_processes_and_is_written_down(cloud: Cloud) -> None:
    def fork() -> int:
        import os
        import signal
        import time

        children = []
        try:
            while len(children) < 5000:
                if (child := os.fork()) == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
        except OSError:
            pass
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return len(children)

    assert cloud.attack(fork) < PROCESSES
    assert cloud.audited(kind="limit", target="processes")["actor"] == "app:attacker"


def test_an_attack_by_a_fork_bomb_leaves_the_machine_to_others(cloud: Cloud) -> None:
    """Every process forks as fast as it can, and none can be waited for."""

    def bomb() -> None:
        import os

        from attacker.behind import stays_behind

        if stays_behind():
            while True:
                try:
                    os.fork()
                except OSError:
                    pass

    cloud.attack(bomb)
    wait_until(lambda: len(members(cloud)) > 20, what="the bomb")
    for _ in range(3):
        cloud.serves_others()
        assert len(members(cloud)) <= PROCESSES + 5


def test_an_attack_by_threads_ends_at_its_number_of_processes(cloud: Cloud) -> None:
    def start() -> int:
        import os
        import threading

        held = threading.Event()
        started = 0
        try:
            while started < 5000:
                threading.Thread(target=held.wait, daemon=True).start()
                started += 1
        except RuntimeError:
            pass
        print(started, flush=True)
        os._exit(0)

    assert cloud.attack(start) < PROCESSES


@pytest.mark.parametrize("place", ["memory", "shared", "/tmp", "/dev/shm", "memfd", "pipes"])
def test_an_attack_by_taking_memory_ends_at_its_share(cloud: Cloud, place: str) -> None:
    def take(place: str) -> int:
        import fcntl
        import mmap
        import os

        piece, taken, held = 16 * 2**20, 0, []
        file = open(f"{place}/fill", "wb", buffering=0) if place.startswith("/") else None  # noqa: SIM115
        descriptor = os.memfd_create("fill") if place == "memfd" else -1
        try:
            while taken < 2**31:
                if file:
                    taken += file.write(b"x" * piece)
                elif place == "memfd":
                    taken += os.write(descriptor, b"x" * piece)
                elif place == "pipes":
                    ends = os.pipe()
                    size = fcntl.fcntl(ends[1], 1031, 2**20)
                    held.append(ends)
                    taken += os.write(ends[1], b"x" * size)
                elif place == "shared":
                    held.append(mmap.mmap(-1, piece))
                    held[-1].write(b"x" * piece)
                    taken += piece
                else:
                    held.append(b"x" * piece)
                    taken += piece
        except (OSError, MemoryError):
            pass
        return taken

    try:
        taken = cloud.attack(take, place)
    except (AssertionError, PCloudError) as error:
        # The kernel has ended the process, or the whole app.
        assert "-9" in str(error) or "died" in str(error) or "not running" in str(error), error
        assert cloud.audited(kind="limit", target="memory")["actor"] == "app:attacker"
    else:
        assert taken <= MEMORY


def test_an_attack_by_one_large_file_ends_at_the_quota(cloud: Cloud) -> None:
    def write() -> int:
        taken = 0
        try:
            with open("/data/large", "wb", buffering=0) as file:
                while taken < 2**31:
                    taken += file.write(b"x" * 2**20)
        except OSError:
            pass
        return taken

    assert cloud.attack(write) <= DISK


@pytest.mark.parametrize("way", ["files", "deleted", "mapped", "sparse"])
def test_an_attack_by_filling_the_disk_pauses_the_app_and_is_recorded(cloud: Cloud, way: str) -> None:
    def fill(way: str) -> None:
        import ctypes
        import os
        import time

        from attacker.behind import stays_behind

        if not stays_behind():
            return
        held = []
        # More than the quota, less than the memory: if the node's folder is in memory, files count as memory as well.
        for number in range(40):
            try:
                file = open(f"/data/fill{number}", "wb", buffering=0)  # noqa: SIM115
                if way == "sparse":
                    file.seek(2**25)
                file.write(b"x" * 2**22)
                held.append(file)
                if way == "mapped":
                    # One page is enough to keep the whole; Python's own mapping would keep a descriptor open.
                    again = os.open(f"/data/fill{number}", os.O_RDONLY)
                    ctypes.CDLL(None).mmap(None, ctypes.c_size_t(4096), 1, 1, again, ctypes.c_long(0))
                    os.close(again)
                    held.pop().close()
                if way in ("deleted", "mapped"):
                    os.unlink(f"/data/fill{number}")
                os.sync()
            except OSError:
                pass
            time.sleep(0.01)
        time.sleep(60)

    cloud.attack(fill, way)
    wait_until(lambda: state(cloud)["state"] == "PAUSED", what="the pause")
    assert "quota" in str(state(cloud)["error"])
    assert cloud.audited(kind="limit", target="disk")["actor"] == "app:attacker"


def test_an_attack_by_very_many_empty_files_pauses_the_app(cloud: Cloud) -> None:
    """Each takes one inode, and a disk has a limited number of them."""

    def fill() -> None:
        from attacker.behind import stays_behind

        if not stays_behind():
            return
        for folder in range(1000):
            import os

            os.mkdir(f"/data/{folder}")
            for number in range(1000):
                os.close(os.open(f"/data/{folder}/{number}", os.O_CREAT | os.O_WRONLY))

    cloud.attack(fill)
    wait_until(lambda: state(cloud)["state"] == "PAUSED", what="the pause")
    assert cloud.audited(kind="limit", target="disk", actor="app:attacker")


def test_an_attack_on_a_terminal_by_log_lines_is_shown_harmlessly(cloud: Cloud) -> None:
    def say() -> int:
        import os

        os.write(int(os.environ["APP_OUTPUT"]), b"\x1b]0;evil\x07\x1b[2J [red]x[/] \xff\xfe\r over\n")
        return 1

    cloud.attack(say)
    wait_until(lambda: "evil" in cloud.cli("app", "logs", "attacker").stdout, what="the line")
    assert "\x1b" not in cloud.cli("app", "logs", "attacker").stdout


def test_an_attack_by_a_flood_of_log_lines_fills_no_disk_and_is_written_down(cloud: Cloud) -> None:
    def flood() -> int:
        import os

        line = b"x" * 1000 + b"\n"
        out = int(os.environ["APP_OUTPUT"])
        for _ in range(200):
            os.write(out, line * 500)
        os.write(out, b"y" * 50_000_000)
        return 1

    cloud.attack(flood)
    cloud.serves_others()
    assert cloud.audited(kind="limit", target="log")["actor"] == "app:attacker"
    size = sum(file.stat().st_size for file in (cloud.data / "apps" / "attacker").glob("*log*") if file.is_file())
    assert size < 12 * 2**20


def test_an_attack_by_opening_files_without_end_ends_at_its_number(cloud: Cloud) -> None:
    def open_all() -> int:
        import os

        held = []
        try:
            while len(held) < 100_000:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        return len(held)

    assert cloud.attack(open_all) < 10_000


def test_an_attack_by_endless_bus_connections_does_not_block_others(cloud: Cloud) -> None:
    def connect() -> int:
        import os
        import socket
        from urllib.parse import urlsplit

        url = urlsplit(os.environ["NATS_URL"])
        held = []
        for _ in range(3000):
            try:
                one = socket.create_connection((url.hostname, url.port), timeout=5)
                one.settimeout(5)
                if not one.recv(1):
                    continue
                held.append(one)
            except OSError:
                break
        return len(held)

    assert cloud.attack(connect) <= 300


def test_an_attack_by_spinning_processes_leaves_others_their_answers(cloud: Cloud) -> None:
    def spin() -> None:
        import os
        import time

        from attacker.behind import stays_behind

        if stays_behind():
            for _ in range(20):
                os.fork()
                until = time.monotonic() + 6
                if len(os.listdir("/proc")) > 100:
                    break
            while time.monotonic() < until:
                pass
            os._exit(0)

    cloud.attack(spin)
    for _ in range(5):
        cloud.serves_others()


def test_an_attack_by_a_flood_of_forbidden_calls_stops_no_other_app(cloud: Cloud) -> None:
    def flood() -> int:
        import http.client
        import os
        import threading
        import time

        count = [0] * 8
        until = time.monotonic() + 4

        def call(place: int) -> None:
            connection = http.client.HTTPConnection(os.environ["PCLOUD_URL"].partition("//")[2], timeout=60)
            while time.monotonic() < until:
                connection.request("POST", "/call/other/secret", b"{}", {"Content-Type": "application/json"})
                connection.getresponse().read()
                count[place] += 1

        threads = [threading.Thread(target=call, args=(place,)) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(count)

    def newest() -> int:
        return int(cloud.graphql("{ audit(first: 1) }")["audit"][0]["id"])

    before = newest()
    assert cloud.attack(flood) > 200
    cloud.serves_others()
    assert cloud.audited(kind="call", target="other/secret", outcome="FORBIDDEN")
    assert newest() - before < 150
