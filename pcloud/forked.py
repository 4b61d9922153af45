"""The fork server's side: imports a job's module once, forks and limits a child for each job, and reports how it ended.

Runs as a process without threads, event loop or secrets. When the control socket closes, it ends, and its children with
it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import math
import os
import pickle
import resource
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pcloud.errors import PCloudError

__all__ = ["CONTROL_BYTES", "STARTED", "Exited", "Job", "serve"]

CONTROL_BYTES = 4096
STARTED = b"\x01"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Job:
    """`memory`: bytes of address space beyond what is mapped when the function begins. `seconds`: wall time of the
    function."""

    module: str
    function: str
    seconds: float
    memory: int
    result_bytes: int

    @property
    def title(self) -> str:
        return f"{self.module}.{self.function}"

    def message(self, number: int) -> bytes:
        return json.dumps({"number": number, "job": asdict(self)}).encode()


@dataclass(frozen=True, slots=True)
class Exited:
    number: int
    status: int

    @classmethod
    def read(cls, message: bytes) -> Exited:
        return cls(**json.loads(message))


def serve(control_fd: int) -> None:
    """Serve until the control socket closes."""
    with socket.socket(fileno=control_fd) as control, selectors.DefaultSelector() as selector:
        children = dict[int, int]()
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the app, which then ends this process
        signal.set_wakeup_fd(wake_write)
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    if not _obey(control, children):
                        _kill(children)
                        return
                else:
                    os.read(wake_read, 512)
            _reap(control, children)


def _wake(number: int, frame: object) -> None:
    """Does nothing: because the signal has a handler, Python writes it to the wakeup file descriptor."""


def _obey(control: socket.socket, children: dict[int, int]) -> bool:
    """Handle one message; False if the parent has closed the socket."""
    try:
        data, fds, _, _ = socket.recv_fds(control, CONTROL_BYTES, 1)
    except ConnectionResetError:  # the parent closed it without reading everything
        return False
    if not data:
        return False
    message = json.loads(data)
    if "kill" in message:
        _kill({pid: number for pid, number in children.items() if number == message["kill"]})
        return True
    job = Job(**message["job"])
    with contextlib.suppress(BaseException):  # the child meets the same error and reports it
        importlib.import_module(job.module)
    pid = os.fork()
    if pid == 0:
        control.close()
        _child(job, socket.socket(fileno=fds[0]))
    os.close(fds[0])
    children[pid] = message["number"]
    return True


def _kill(children: dict[int, int]) -> None:
    """Kill children that are not reaped yet, so that their process ids can't belong to others; each with its process
    group."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.killpg(pid, signal.SIGKILL)


def _reap(control: socket.socket, children: dict[int, int]) -> None:
    while children and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ended.si_pid, signal.SIGKILL)  # processes that it started and left behind
        _, status = os.waitpid(ended.si_pid, 0)
        if (number := children.pop(ended.si_pid, None)) is not None:
            told = {"number": number, "status": os.waitstatus_to_exitcode(status)}
            with contextlib.suppress(OSError):
                control.send(json.dumps(told).encode())


def _child(job: Job, channel: socket.socket) -> NoReturn:
    """Run the job in the child; never returns into the server's loop."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _answer(job, channel)
        sys.stdout.flush()
        os._exit(0)
    finally:
        os._exit(70)


def _answer(job: Job, channel: socket.socket) -> None:
    size = int.from_bytes(_exactly(channel, 8), "little")
    packed = _exactly(channel, size)
    channel.sendall(STARTED)
    try:
        function = getattr(importlib.import_module(job.module), job.function)
        arguments = pickle.loads(packed)  # noqa: S301 - from the parent, which is trusted; never the other way round
        del packed
        _limit(job)
        raw = _pack("result", function(*arguments))
        if len(raw) > job.result_bytes:
            raw = _pack(
                "error", ("REJECTED", f"{job.title} returned {len(raw)} bytes, more than {job.result_bytes}", "")
            )
    except Exception as error:
        raw = _pack("error", _told(job, error))
    channel.sendall(len(raw).to_bytes(8, "little"))
    channel.sendall(raw)


def _limit(job: Job) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = mapped + job.memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = math.ceil(job.seconds * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.alarm(math.ceil(job.seconds) + 1)  # the child still ends if the server is stopped


def _pack(kind: str, value: Any) -> bytes:
    return msgspec.msgpack.encode((kind, value))


def _told(job: Job, error: Exception) -> tuple[str, str, str]:
    """Code, message and traceback of an error; errors of the function itself become REJECTED."""
    trace = "".join(traceback.format_exception(error))[-8000:]
    if isinstance(error, PCloudError):
        return error.code, error.message[:2000], trace
    if isinstance(error, MemoryError):
        return "REJECTED", f"{job.title} needed more than {job.memory >> 20} MiB of memory", ""
    return "REJECTED", f"{job.title} failed: {type(error).__name__}: {error}"[:2000], trace


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    got = 0
    while got < size:
        part = channel.recv_into(view[got:])
        if not part:
            os._exit(71)  # the parent has given up
        got += part
    return bytes(data)
