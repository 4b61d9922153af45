"""Stops processes for a moment, so that their files can be copied as they are at one instant."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["StoppedProcesses", "frozen"]

# A process that waits for a slow disk stops once the disk has answered.
PATIENCE = 30.0
POLL = 0.002
STOPPED = frozenset("TtZXx")


class StoppedProcesses:
    """`find` returns the ids of all processes that must not run; it is called repeatedly, because a process may start
    others until it has stopped."""

    def __init__(self, find: Callable[[], Iterable[int]]):
        self._find = find
        self._stopped: set[int] = set()
        self._turn, self._over = threading.Lock(), False

    def stop(self) -> None:
        """Return once all have stopped; raises `Unavailable` if one does not. Blocks: call it in a thread."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = set(self._find()) - self._stopped
            with self._turn:
                if self._over:  # the task that waits for this thread was cancelled
                    return
                for pid in found:
                    self._send(pid, signal.SIGSTOP)
                    self._stopped.add(pid)
            running = [pid for pid in self._stopped if not _is_stopped(pid)]
            if not found and not running:
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the process {(running or sorted(found))[0]} could not be stopped for a copy of its files: try again"
                )
            time.sleep(POLL)

    def resume(self) -> None:
        """Let all continue; `stop` stops none from now on."""
        with self._turn:
            self._over = True
            for pid in self._stopped:
                with suppress(OSError):
                    os.kill(pid, signal.SIGCONT)

    def grown(self) -> bool:
        """True if a process has been started since."""
        return any(not _is_stopped(pid) for pid in set(self._find()) - self._stopped)

    def _send(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise Unavailable(
                f"the process {pid} of an app can't be stopped for a copy of its files: {error.strerror}"
            ) from error


@asynccontextmanager
async def frozen(find: Callable[[], Iterable[int]]) -> AsyncGenerator[StoppedProcesses]:
    """Stop the processes within this block, and let them continue whatever happens."""
    processes = StoppedProcesses(find)
    try:
        await asyncio.to_thread(processes.stop)
        yield processes
    finally:
        processes.resume()


def _is_stopped(pid: int) -> bool:
    """True if all its threads have stopped, or it has ended."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return True
    return all(_state(thread) in STOPPED for thread in threads)


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text(errors="replace").rpartition(") ")[2][:1]
    except OSError:
        return "X"
