"""Records the state of each run in the stream RUNS, which keeps the last state of each run.

States in progress (NEW, IN_PROGRESS) are written a moment later, without delaying the handler; a run that has ended by
then is written once, as DONE. The end of a run is on disk before the event or durable call is acknowledged. While one
write is in progress, further states gather and are written together: a disk's `fsync` costs as much for one as for a hundred. If
RUNS accepts no more, no new run is begun, and `problem` says why."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from core.work.processor.restart import cancelled
from eventstore.runs import NewState
from pcloud.errors import PCloudError
from projections.runs.record import Run, encode_run

__all__ = ["Journal", "RunWriter"]

log = logging.getLogger(__name__)
RETRY = 1.0
TOGETHER = 50  # their waiters all continue at once, and new runs must get a turn
LARGEST = 256 * 1024  # bytes written together, unless a single one is larger


class RunWriter(Protocol):
    """The part of `eventstore.EventStore.runs` that this file uses."""

    async def put(self, app: str, action: str, id: str, body: bytes, ttl: float | None = None) -> object: ...
    async def put_all(self, states: Sequence[NewState]) -> object: ...


class _Entry(NamedTuple):
    """A state to be written; `stored` is completed if a task waits for it."""

    state: NewState
    stored: asyncio.Future[None] | None


class Journal:
    """`close()` it in the end. States not written by then are recovered when the event is delivered again."""

    def __init__(self, runs: RunWriter, *, delay: float, done_ttl: float) -> None:
        self._runs = runs
        self._delay = delay
        self._done_ttl = done_ttl
        self._noted: dict[str, tuple[float, Run]] = {}  # by due time, which is also the order of insertion
        self._ends: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._refused = ""
        self.full = ""

    @property
    def problem(self) -> str:
        """Why no new runs are started; '' if they are."""
        return self.full or self._refused

    async def begin(self, run: Run) -> None:
        """Note a run that is about to start; waits while RUNS accepts nothing, or while `full` gives a reason not to start."""
        while self.problem:
            if self.full or not await self._write([_Entry(self._state(run), None)]):
                await asyncio.sleep(RETRY)
        self.note(run)

    def note(self, run: Run) -> None:
        """Have this state written soon, unless a newer one comes first."""
        before = self._noted.get(run.id)
        if not self._noted:
            self._wake.set()
        due = asyncio.get_running_loop().time() + self._delay if before is None else before[0]
        self._noted[run.id] = due, run
        self._start()

    def withdraw(self, run: Run) -> None:
        """Drop the noted state, and keep the earlier one."""
        self._noted.pop(run.id, None)

    async def settle(self, run: Run) -> None:
        """Return once this last state is stored, however long that takes."""
        self._noted.pop(run.id, None)
        stored = asyncio.get_running_loop().create_future()
        self._ends.append(_Entry(self._state(run), stored))
        self._start()
        self._wake.set()
        await stored

    async def close(self) -> None:
        if self._writer is not None:
            await cancelled([self._writer])
            self._writer = None

    # --- within ----------------------------------------------------------------------------------------------------------------------

    def _state(self, run: Run) -> NewState:
        return NewState(run.app, run.action, run.id, encode_run(run), self._done_ttl if run.state == "DONE" else None)

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._run(), name="record runs")

    async def _run(self) -> None:
        while True:
            entries = self._next()
            if not entries:
                await self._something()
                continue
            try:
                if await self._write(entries):
                    _tell(entries)
                else:
                    await self._one_by_one(entries)
            except Exception as error:
                log.exception("runs can't be recorded, because of an internal error")
                _tell(entries, error)

    async def _something(self) -> None:
        """Wait until a run has ended, or a noted state is due."""
        self._wake.clear()
        due, _ = next(iter(self._noted.values()), (None, None))
        timer = None if due is None else asyncio.get_running_loop().call_at(due, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _next(self) -> list[_Entry]:
        entries: list[_Entry] = []
        size = 0
        while self._ends and len(entries) < TOGETHER and (not entries or size < LARGEST):
            entry = self._ends.popleft()
            if entry.stored is None or not entry.stored.done():  # else the waiter is gone
                entries.append(entry)
                size += len(entry.state.body)
        now = asyncio.get_running_loop().time()
        while self._noted and len(entries) < TOGETHER and (not entries or size < LARGEST):
            id, (due, run) = next(iter(self._noted.items()))
            if due > now:
                break
            del self._noted[id]
            entries.append(_Entry(self._state(run), None))
            size += len(entries[-1].state.body)
        return entries

    async def _one_by_one(self, entries: list[_Entry]) -> None:
        """Write each alone, so that a refused one does not block the others; an end is tried again later."""
        for entry in entries:
            if await self._write([entry]):
                _tell([entry])
            elif entry.stored is not None:
                asyncio.get_running_loop().call_later(RETRY, self._again, entry)

    def _again(self, entry: _Entry) -> None:
        self._ends.append(entry)
        self._wake.set()

    async def _write(self, entries: list[_Entry]) -> bool:
        try:
            if len(entries) == 1:
                await self._runs.put(*entries[0].state)
            else:
                await self._runs.put_all([entry.state for entry in entries])
        except PCloudError as error:
            if len(entries) > 1:
                return False
            if not self._refused:
                log.error("a run can't be recorded, no new ones are started: %s", error)
            self._refused = f"no new runs are started: {error}"
            return False
        if self._refused:
            log.warning("runs can be recorded again")
            self._refused = ""
        return True


def _tell(entries: Sequence[_Entry], error: Exception | None = None) -> None:
    """Notify the waiters: it is stored, or will not be."""
    for entry in entries:
        if entry.stored is None or entry.stored.done():
            continue
        if error is None:
            entry.stored.set_result(None)
        else:
            entry.stored.set_exception(error)
