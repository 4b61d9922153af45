"""A function on untrusted input can at worst be refused."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pcloud import bounded
from pcloud.bounded import close_bounded, run_bounded
from pcloud.decoding import decode
from pcloud.errors import NotFound, Rejected, Unavailable

JOBS = """
import ctypes, os, signal, time
from dataclasses import dataclass
from pcloud.errors import NotFound, Unavailable

@dataclass
class Size:
    width: int
    corner: tuple[int, int]

SEEN = []

def double(number: int) -> int: return 2 * number
def measure(width: int) -> Size: return Size(width, (1, 2))
def remember(what): SEEN.append(what); return SEEN
def environment(): return dict(os.environ)
def echo(data: bytes) -> bytes: return data
def lie() -> int: return "text"
def fail(): raise ValueError("no picture")
def fail_at_length(): raise ValueError("𝄞" * 10_000)
def miss(): raise NotFound("no such page")
def take_memory(): return len(bytearray(1 << 30))
def crash(): ctypes.string_at(0)
def leave(): os._exit(3)
def never(): time.sleep(1000)
def spin():
    while True: pass
def kill_itself(): os.kill(os.getpid(), signal.SIGKILL)
def server() -> int: return os.getppid()
def read(file): return file.read()
def load(size): SEEN.append("x" * size)
def refuse(): raise Unavailable("no model")
def loaded(): return SEEN
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "sdk_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("sdk_jobs")
    sys.modules.pop("sdk_jobs")


@pytest.fixture(autouse=True)
async def closed():
    yield
    await close_bounded()


def is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


async def until_gone(pid: int) -> None:
    while is_there(pid):
        await asyncio.sleep(0.01)


async def test_the_result_comes_back_in_the_type_of_the_return_hint(jobs) -> None:
    assert await run_bounded(jobs.double, 21) == 42
    assert await run_bounded(jobs.measure, 7) == jobs.Size(7, (1, 2))
    assert await run_bounded(jobs.echo, b"x" * 900_000) == b"x" * 900_000


async def test_nothing_of_one_job_reaches_the_next(jobs) -> None:
    assert await run_bounded(jobs.remember, "a") == ["a"]
    assert await run_bounded(jobs.remember, "b") == ["b"]


async def test_a_job_sees_neither_secrets_nor_open_files(jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NATS_NKEY_SEED_FILE", "/somewhere")
    with (tmp_path / "secret").open("w"):
        known = set(await run_bounded(jobs.environment))
    assert not [name for name in known if name.startswith(("NATS", "PCLOUD"))]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fail", "sdk_jobs.fail failed: ValueError: no picture"),
        ("take_memory", "needed more than 100 MiB of memory"),
        ("crash", "crashed with SIGSEGV"),
        ("leave", "ended its process with exit code 3"),
        ("never", "took longer than 0.3 s"),
        ("spin", "took longer than 0.3 s"),
        ("lie", "does not match its return hint"),
    ],
)
async def test_whatever_a_job_does_it_is_rejected_with_the_reason(jobs, name: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        await run_bounded(getattr(jobs, name), seconds=0.3, memory=100 << 20)
    assert reason in refused.value.message
    assert await run_bounded(jobs.double, 1) == 2


async def test_an_own_error_comes_through_with_its_traceback(jobs) -> None:
    with pytest.raises(NotFound, match="no such page") as missed:
        await run_bounded(jobs.miss)
    assert "in miss" in missed.value.__notes__[0]


async def test_a_large_result_is_rejected(jobs) -> None:
    with pytest.raises(Rejected, match="more than 1000"):
        await run_bounded(jobs.echo, b"x" * 2000, result_bytes=1000)
    with pytest.raises(Rejected, match="more than 1048576"):
        await run_bounded(jobs.echo, b"x" * 2**20)
    assert len(await run_bounded(jobs.echo, b"x" * 2**20, result_bytes=2 * 2**20)) == 2**20


async def test_a_long_reason_in_any_script_comes_through(jobs) -> None:
    with pytest.raises(Rejected, match="fail_at_length failed: ValueError: 𝄞") as failed:
        await run_bounded(jobs.fail_at_length)
    assert "in fail_at_length" not in failed.value.__notes__[0]  # only the traceback's end is kept


def children(server: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


async def idle_server(jobs: ModuleType) -> int:
    server = await run_bounded(jobs.server)
    while children(server):  # the child of that job
        await asyncio.sleep(0.01)
    return server


async def test_a_cancelled_job_is_ended(jobs) -> None:
    server = await idle_server(jobs)
    job = asyncio.create_task(run_bounded(jobs.never))
    while not (running := children(server)):
        await asyncio.sleep(0.01)
    job.cancel()
    await asyncio.wait({job})
    await until_gone(running[0])


async def test_a_dead_fork_server_is_replaced(jobs) -> None:
    server = await idle_server(jobs)
    job = asyncio.create_task(run_bounded(jobs.never))
    while not children(server):
        await asyncio.sleep(0.01)
    os.kill(server, signal.SIGKILL)
    with pytest.raises(Unavailable, match="its fork server has died"):
        await job
    assert await run_bounded(jobs.double, 1) == 2


async def test_a_job_reads_the_file_that_it_is_given(jobs, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"what is in it")
    assert await decode(jobs.read, tmp_path / "file") == b"what is in it"
    assert await decode("sdk_jobs:read", tmp_path / "file") == b"what is in it"


async def test_what_is_prepared_is_there_for_every_job(jobs) -> None:
    for _ in range(2):
        assert await run_bounded(jobs.loaded, prepare=(jobs.load, 3)) == ["xxx"]


async def test_a_failed_preparation_is_the_job_s_error(jobs) -> None:
    for _ in range(2):
        with pytest.raises(Unavailable, match="no model"):
            await run_bounded(jobs.double, 1, prepare=(jobs.refuse,))


async def test_a_job_that_was_killed_from_outside_may_be_tried_again(jobs) -> None:
    with pytest.raises(Unavailable, match="killed from outside"):
        await run_bounded(jobs.kill_itself)


async def test_jobs_wait_for_a_cpu(jobs) -> None:
    assert await asyncio.gather(*[run_bounded(jobs.double, number) for number in range(40)]) == list(range(0, 80, 2))


async def test_a_job_costs_less_than_a_new_interpreter(jobs) -> None:
    """About 2 ms on an idle machine, while one that has to import what it needs takes 100."""
    await run_bounded(jobs.double, 1)
    taken, interpreters = list[float](), list[float]()
    for _ in range(5):
        begin = time.perf_counter()
        await run_bounded(jobs.double, 1)
        taken.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import pcloud.bounded"], check=True, timeout=60)
        interpreters.append(time.perf_counter() - begin)
    assert min(taken) < min(interpreters) / 2, (taken, interpreters)


async def test_an_idle_server_is_ended_for_its_memory(jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "IDLE_SECONDS", 0.05)
    parent = await run_bounded(jobs.server)
    await until_gone(parent)
    assert await run_bounded(jobs.double, 3) == 6


async def test_only_functions_of_modules_can_be_run(jobs) -> None:
    with pytest.raises(Rejected, match="top level of an importable module"):
        await run_bounded(lambda: 1)
