"""The fork server's side: imports a job's module once, forks and limits a child for each job, and reports how it ended.

Runs as a process without threads, event loop or secrets. When the control socket closes, it ends, and its children with
it.
"""

from __future__ import annotations

import codecs
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
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pcloud.confinement import confine
from pcloud.errors import PCloudError, Unavailable

__all__ = ["CONTROL_BYTES", "ERROR_BYTES", "STARTED", "Exited", "ForkedCall", "cut", "serve"]

CONTROL_BYTES = 64 * 2**10
STARTED = b"\x01"
ERROR_BYTES = 16 * 2**10  # of an error as an answer, whose texts `cut` has made short
# Python loads these when they are first used, which a child can't: what text in files is written in.
ENCODINGS = (
    "ascii", "latin-1", "cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le",
    "utf-32-be", "idna",
)  # fmt: skip
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class ForkedCall:
    """`memory`: bytes of address space beyond what is mapped when the function begins. `seconds`: wall time of the
    function. `prepare`: module, function and arguments (as JSON) of what the server runs once before; () for nothing."""

    module: str
    function: str
    seconds: float
    memory: int
    result_bytes: int
    prepare: Sequence[Any] = ()

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
    for name in ENCODINGS:
        codecs.lookup(name)
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
        data, fds, _, _ = socket.recv_fds(control, CONTROL_BYTES, 2)
    except ConnectionResetError:  # the parent closed it without reading everything
        return False
    if not data:
        return False
    message = json.loads(data)
    if "kill" in message:
        _kill({pid: number for pid, number in children.items() if number == message["kill"]})
        return True
    job = ForkedCall(**message["job"])
    with contextlib.suppress(BaseException):  # the child meets the same error and reports it
        _load(job)
    pid = os.fork()
    if pid == 0:
        control.close()
        _child(job, *fds)
    for fd in fds:
        os.close(fd)
    children[pid] = message["number"]
    return True


def _load(job: ForkedCall) -> Callable[..., Any]:
    """The job's function, with all that it needs loaded; what is loaded already costs nothing."""
    module = importlib.import_module(job.module)
    if job.prepare and (key := json.dumps(job.prepare)) not in _prepared:
        where, name, *arguments = job.prepare
        getattr(importlib.import_module(where), name)(*arguments)
        _prepared.add(key)
    return getattr(module, job.function)


_prepared = set[str]()


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


def _child(job: ForkedCall, channel: int, file: int | None = None) -> NoReturn:
    """Run the job in the child; never returns into the server's loop."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _answer(job, channel, file)
        os._exit(0)
    finally:
        os._exit(70)


def _answer(job: ForkedCall, channel: int, file: int | None) -> None:
    packed = _read(channel, int.from_bytes(_read(channel, 8), "little"))
    _write(channel, STARTED)
    try:
        raw = _pack("result", _run(job, packed, channel, file))
        if len(raw) > job.result_bytes:
            raw = _pack(
                "error", ("REJECTED", f"{job.title} returned {len(raw)} bytes, more than {job.result_bytes}", "")
            )
    except Exception as error:
        raw = _pack("error", _told(job, error))
    _write(channel, len(raw).to_bytes(8, "little"))
    _write(channel, raw)


def _run(job: ForkedCall, packed: bytes, channel: int, file: int | None) -> Any:
    """Load everything, then give up everything, then meet the untrusted input."""
    function = _load(job)
    arguments = pickle.loads(packed)  # noqa: S301 - from the parent, which is trusted; never the other way round
    del packed
    _limit(job)
    try:
        confine([channel] if file is None else [channel, file])
    except OSError as error:
        raise Unavailable(f"{job.title} was not started, because it can't be confined: {error}") from error
    return function(*arguments) if file is None else function(os.fdopen(file, "rb"), *arguments)


def _limit(job: ForkedCall) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = mapped + job.memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = math.ceil(job.seconds * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.alarm(math.ceil(job.seconds) + 1)  # the child still ends if the server is stopped


def _pack(kind: str, value: Any) -> bytes:
    return msgspec.msgpack.encode((kind, value))


def _told(job: ForkedCall, error: Exception) -> tuple[str, str, str]:
    """Code, message and traceback of an error; errors of the function itself become REJECTED."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, PCloudError):
        return cut(error.code, error.message, trace)
    if isinstance(error, MemoryError):
        return "REJECTED", f"{job.title} needed more than {job.memory >> 20} MiB of memory", ""
    message = f"{job.title} failed: {type(error).__name__}: {error}"[:1800]
    if isinstance(error, (PermissionError, ImportError)):
        message += " (it can open, connect and start nothing: import all that it needs at the top of its module)"
    return cut("REJECTED", message, trace)


def cut(code: str, message: str, trace: str) -> tuple[str, str, str]:
    """The beginning of an error's message and the end of its traceback. Both sides cut: the child may have been taken
    over."""
    return code, message[:2000], trace.encode(errors="replace")[-8000:].decode(errors="ignore")


def _read(channel: int, size: int) -> bytes:
    """Exactly so much."""
    data = bytearray(size)
    view = memoryview(data)
    got = 0
    while got < size:
        part = os.readv(channel, [view[got:]])
        if not part:
            os._exit(71)  # the parent has given up
        got += part
    return bytes(data)


def _write(channel: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(channel, view) :]
