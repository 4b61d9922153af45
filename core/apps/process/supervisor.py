"""Keeps one app's process running: starts it, captures its output, starts it again when it ends, stops it with all its
children.

It never gives up, and it reports without judging whether the app works. The supervisor's owner prepares the command
and environment again for each start, because a web app gets another port each time.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from core.apps.process.group import group_lives, signal_group
from core.apps.process.log import WINDOW, AppLog, LogRate
from core.apps.settings import Supervision
from pcloud.errors import PCloudError, Unavailable

__all__ = ["Confined", "ProcessState", "Start", "Supervisor"]

LAUNCH = Path(__file__).with_name("launch.py")
PIECE = 64 * 2**10
POLL = 0.03
LAST_WORDS = 1.0
KILL_SECONDS = 5.0
SIGNALLED = 128
# After this many failures in a row the state is FAILED; starting continues.
CRASH_LOOP = 5


class ProcessState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing-off"
    STOPPED = "stopped"
    FAILED = "failed"


class Confined(Protocol):
    """The sandbox of one start. `descriptors`: open in the process. `joins`: its control groups' files. `pid`: of the app inside."""

    @property
    def descriptors(self) -> Sequence[int]: ...
    @property
    def joins(self) -> Sequence[Path]: ...
    @property
    def pid(self) -> int | None: ...

    async def open(self, outer: int) -> None:
        """The process has begun; raises if the app inside can't."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the app inside."""
        ...

    def why(self, code: int) -> str:
        """Why it ended, if the sandbox knows more than the exit code tells."""
        ...

    async def close(self) -> None:
        """Clean up: the process has ended or never began."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """What one start needs."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    confined: Confined | None = None


class Supervisor:
    """One app's process. `prepare` is called before each start; an error in it counts as a failed start. `ended` is
    called each time the process has ended, `flooded` if it logs so much at once that lines are dropped."""

    def __init__(
        self,
        name: str,
        prepare: Callable[[], Start | Awaitable[Start]],
        log: AppLog,
        settings: Supervision,
        ended: Callable[[], None],
        flooded: Callable[[], None] = lambda: None,
    ):
        self._name = name
        self._prepare = prepare
        self._log = log
        self._settings = settings
        self._ended = ended
        self._flooded = flooded
        self._rate = LogRate(settings.log_lines, settings.log_rate)
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._confined: Confined | None = None
        self._changed = asyncio.Condition()
        self.state = ProcessState.STOPPED
        self.reason = ""
        self.starts = 0
        self.failures = 0  # in a row
        self.dropped = 0  # lines of its log
        self.since = time.time()

    @property
    def pid(self) -> int | None:
        """The app's own process id on this machine."""
        if self._process is None:
            return None
        return self._confined.pid if self._confined else self._process.pid

    def start(self) -> None:
        """Begin to keep it running; does nothing if it already is."""
        if self._task is None:
            self.state = ProcessState.STARTING
            self._task = asyncio.create_task(self._keep(), name=f"app {self._name}")

    async def stop(self, reason: str = "") -> None:
        """Send SIGTERM, and after the settings' time-out SIGKILL, to the whole process group; returns when the group is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._become(ProcessState.STOPPED, reason)

    async def settled(self) -> None:
        """Wait until one start has lasted; raises `Unavailable` with the last lines of its log if no start lasts in
        time, or if several in a row failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start):
                while self.failures < CRASH_LOOP:
                    if self.state is ProcessState.RUNNING and time.time() - self.since >= self._settings.settle:
                        return
                    await self._wait_for_change()
        words = " | ".join(self._log.tail(5))
        reason = self.reason or self.state
        raise Unavailable(f"the app {self._name} does not stay up ({reason}); its last words: {words}")

    async def _wait_for_change(self) -> None:
        async with self._changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.settle):
                    await self._changed.wait()

    async def _become(self, state: ProcessState, reason: str) -> None:
        async with self._changed:
            self.state, self.reason, self.since = state, reason, time.time()
            self._changed.notify_all()

    async def _keep(self) -> None:
        while True:
            await self._become(ProcessState.STARTING, self.reason)
            began = time.monotonic()
            reason = await self._run_once()
            if time.monotonic() - began >= self._settings.healthy:
                self.failures = 0
            self.failures += 1
            self._log.note(reason)
            await self._become(ProcessState.FAILED if self.failures >= CRASH_LOOP else ProcessState.BACKING_OFF, reason)
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Exponential back-off, with jitter over the upper half (AWS, "Exponential backoff and jitter")."""
        longest = min(self._settings.longest_back_off, self._settings.back_off * 2 ** min(self.failures - 1, 16))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    async def _run_once(self) -> str:
        """Run the process once and return why it ended. If cancelled, it ends the process."""
        try:
            prepared = self._prepare()
            start = await prepared if inspect.isawaitable(prepared) else prepared
        except Exception as error:
            return f"it can't be started: {error}"
        try:
            return await self._live(start)
        finally:
            if start.confined is not None:
                await _uninterrupted(start.confined.close())

    async def _live(self, start: Start) -> str:
        try:
            process = await self._spawn(start)
        except Exception as error:
            return f"it can't be started: {error}"
        self._process, self._confined = process, start.confined
        self.starts += 1
        assert process.stdout is not None
        reading = asyncio.create_task(self._copy(process.stdout))
        try:
            if start.confined is not None:
                await start.confined.open(process.pid)
            await self._become(ProcessState.RUNNING, "")
            code = await process.wait()
        except PCloudError as error:
            return f"it can't be started: {error}"
        finally:
            await _uninterrupted(self._end_group(process, reading))
            self._process = self._confined = None
            self._ended()
        return (start.confined.why(code) if start.confined else "") or _ending(code, confined=bool(start.confined))

    async def _spawn(self, start: Start) -> asyncio.subprocess.Process:
        confined = start.confined
        groups = ":".join(str(path) for path in confined.joins) if confined else ""
        launcher = (sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), groups)
        return await asyncio.create_subprocess_exec(
            *launcher, *start.command, cwd=start.folder, env=dict(start.environment), start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            pass_fds=confined.descriptors if confined else (),
        )  # fmt: skip

    async def _copy(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while piece := await stream.read(PIECE):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._write(line)
            if len(rest) > self._settings.log_line:
                self._write(rest)
                rest = b""
        if rest:
            self._write(rest)
        self._tell_dropped()

    def _write(self, line: bytes) -> None:
        if self._rate.admits(len(line), time.monotonic()):
            self._tell_dropped()
            self._log.write(line)
            return
        self.dropped += 1
        if self._rate.dropped == 1:
            self._log.note(f"it logs too much at once: lines are dropped for up to {WINDOW:.0f} s")
            self._flooded()

    def _tell_dropped(self) -> None:
        if lines := self._rate.take_dropped():
            self._log.note(f"{lines} lines were dropped")

    async def _end_group(self, process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
        for number, seconds in ((signal.SIGTERM, self._settings.stop), (signal.SIGKILL, KILL_SECONDS)):
            if self._confined is not None and number is signal.SIGTERM and self._confined.pid is not None:
                self._confined.send(number)
            else:
                signal_group(process.pid, number)
            deadline = time.monotonic() + seconds
            # The end of a group's last member is not signalled.
            while time.monotonic() < deadline and (process.returncode is None or group_lives(process.pid)):  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        await process.wait()
        # Its last words. A process that left the group may hold the pipe open without end, so this is bounded.
        await asyncio.wait([reading], timeout=LAST_WORDS)
        reading.cancel()


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish the work even if this task is cancelled; the cancellation is raised after it."""
    ending = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _ending(code: int, *, confined: bool) -> str:
    """bubblewrap reports a signal as shells do."""
    if confined and code > SIGNALLED:
        code = SIGNALLED - code
    if code < 0:
        with suppress(ValueError):
            return f"it was killed by {signal.Signals(-code).name}"
    return f"it ended with exit code {code}"
