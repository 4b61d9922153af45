"""`run_bounded`: run a function on untrusted input (a stranger's picture, say) in a process of its own, within
bounds and without rights. For files, see `pcloud.decoding`.

A small fork server, started without the parent's memory, files and environment, keeps the function's module loaded and
forks a new child for every job. A job therefore costs milliseconds, and nothing of one job reaches the next. The result
comes back as plain data (MessagePack), never as a pickle: a child that an attacker controls can't run code here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import typing
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from pcloud.confinement import missing
from pcloud.errors import PCloudError, Rejected, Unavailable, error_from_code
from pcloud.forked import ERROR_BYTES, STARTED, ForkedCall, cut
from pcloud.forkserver import ForkServer, Running

__all__ = ["RESULT_BYTES", "close_bounded", "run_bounded"]

Result = TypeVar("Result")
START_SECONDS = 60.0  # for a server's start and a module's import, which don't count as the job's own time
IDLE_SECONDS = 60.0
# A function that was taken over answers what it likes, and a byte can become an object of 64: what the app takes is small.
RESULT_BYTES = 2**20
log = logging.getLogger("pcloud.bounded")


async def run_bounded(
    function: Callable[..., Result] | str,
    *args: Any,
    seconds: float = 30.0,
    memory: int = 512 * 2**20,
    result_bytes: int = RESULT_BYTES,
    file: int | None = None,
    prepare: Sequence[Any] = (),
) -> Result:
    """Run `function(*args)` in a bounded process. As many run at once as there are CPUs; further calls wait.

    The function has its arguments, its memory and threads. It opens no file, reaches no network, app or other process,
    and has no environment: it must import and load before what it needs, at the top of its module or by `prepare`.

    `function`: at the top of a module that can be imported, or `"module:function"`, which leaves the import to the other
    process. `args`: anything that pickles. The result: None, bool, int, float, str, bytes, datetime, lists, tuples and
    dicts of them, dataclasses and msgspec structs, given back as the function's return hint says. `seconds`: wall time.
    `memory`: bytes of address space beyond what the child has mapped with the module and the arguments. `result_bytes`:
    the largest result, as MessagePack. `file`: a descriptor; the function gets it as its first argument, an open file.
    `prepare`: a function and its arguments (as JSON), called once in the server from which all jobs are forked, with the
    rights of the app: what it keeps in its module, each job finds there.

    Raises `Rejected` with the reason if the function raises, crashes, or exceeds its time, memory or result size; an
    error of `pcloud.errors` comes through, in its first 2,000 characters. Raises `Unavailable` if no process can be started.
    """
    prepared = (*_importable(prepare[0]), *prepare[1:]) if prepare else ()
    job = ForkedCall(*_importable(function), float(seconds), memory, result_bytes, prepared)
    return await _pool().run(job, args, _result_type(function), file)


async def close_bounded() -> None:
    """End this event loop's fork server and its running jobs; the next call starts another server."""
    if pool := _pools.pop(asyncio.get_running_loop(), None):
        pool.close()


class _Pool:
    """The fork server of one event loop, and the limit on concurrent jobs. Because the server holds memory, it is ended
    after a while without jobs."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._server: ForkServer | None = None
        self._jobs = 0
        self._idle: asyncio.TimerHandle | None = None

    async def run(self, job: ForkedCall, args: tuple[Any, ...], result_type: Any, file: int | None) -> Any:
        async with self._slots:
            self._jobs += 1
            try:
                return _decoded(job, await _exchange(self._ready().start(job, file), job, args), result_type)
            finally:
                self._jobs -= 1
                self._rest()

    def _ready(self) -> ForkServer:
        if self._server is None or not self._server.alive:
            _warn_if_open()
            self._server = ForkServer(asyncio.get_running_loop())
        return self._server

    def _rest(self) -> None:
        if self._idle:
            self._idle.cancel()
        if not self._jobs:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sleep)

    def _sleep(self) -> None:
        if not self._jobs:
            self.close()

    def close(self) -> None:
        if self._idle:
            self._idle.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None


# An event loop's sockets can't be used from another loop, so each loop has its own server. An app has one loop.
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()


def _pool() -> _Pool:
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = _Pool()
    return _pools[loop]


@cache
def _warn_if_open() -> None:
    if lack := missing():
        log.warning("decoders run with more rights than they should have: %s", lack)


def _importable(function: Callable[..., Any] | str) -> tuple[str, str]:
    if isinstance(function, str):
        module, _, name = function.partition(":")
    else:
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if not module or module == "__main__" or not name.isidentifier():
        raise Rejected(
            f"{module}.{name} can't run in another process: use a function at the top level of an importable module"
        )
    return module, name


def _result_type(function: Callable[..., Any] | str) -> Any:
    if isinstance(function, str):
        return Any
    try:
        return typing.get_type_hints(function).get("return", Any)
    except NameError:  # a hint that is imported for type checkers only
        return Any


async def _exchange(running: Running, job: ForkedCall, args: tuple[Any, ...]) -> bytes:
    """Send the arguments and wait for the result. In every case, the child has ended afterwards."""
    try:
        async with asyncio.timeout(START_SECONDS):
            await running.send(pickle.dumps(args, protocol=5))
            if await running.receive(1) != STARTED:
                raise _death(job, await running.exit_status())
        async with asyncio.timeout(job.seconds):
            size = int.from_bytes(await running.receive(8), "little")
            if size > max(job.result_bytes, ERROR_BYTES):
                raise Rejected(f"{job.title} answered with {size} bytes, more than {job.result_bytes}")
            raw = await running.receive(size)
        return raw or _raise(_death(job, await running.exit_status()))
    except TimeoutError as error:
        raise _too_slow(job) from error
    finally:
        running.end()


def _raise(error: PCloudError) -> typing.NoReturn:
    raise error


def _decoded(job: ForkedCall, raw: bytes, result_type: Any) -> Any:
    try:
        kind, rest = msgspec.msgpack.decode(raw, type=tuple[str, msgspec.Raw])
        if kind == "result":
            return msgspec.msgpack.decode(rest, type=result_type)
        if len(raw) > ERROR_BYTES:
            raise Rejected(f"{job.title} failed with {len(raw)} bytes of reasons, more than {ERROR_BYTES}")
        code, message, trace = cut(*msgspec.msgpack.decode(rest, type=tuple[str, str, str]))
    except (ValueError, TypeError, RecursionError) as error:  # also of text that is not UTF-8, and lists without end
        reason = str(error)[:200]
        raise Rejected(f"the result of {job.title} does not match its return hint: {reason}") from error
    failure = error_from_code(code, message)
    failure.add_note(trace)
    raise failure


def _too_slow(job: ForkedCall) -> Rejected:
    return Rejected(f"{job.title} took longer than {job.seconds:g} s and was ended")


def _death(job: ForkedCall, status: int | None) -> PCloudError:
    """Describe an exit status; signals are negative numbers. None: the status is unknown."""
    if status is None:
        return Unavailable(f"{job.title} could not be finished: its fork server has died; try again")
    if -status in (signal.SIGXCPU, signal.SIGALRM):
        return _too_slow(job)
    if -status == signal.SIGKILL:
        # Killed from outside: by hand, or because the machine is out of memory. Another try may well succeed, and the
        # number of tries is limited.
        return Unavailable(f"{job.title} was killed from outside (is the machine out of memory?): try again")
    if status < 0:
        return Rejected(f"{job.title} crashed with {signal.Signals(-status).name}")
    return Rejected(f"{job.title} ended its process with exit code {status}")
