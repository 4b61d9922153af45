"""Writes down what state each run is in, to the stream RUNS: the last state of each run, so newer ones replace older
ones.

What is on its way (NEW, IN_PROGRESS) is written a moment later, behind the handler's back; a run that has ended by
then is written once, as DONE. The end itself is on disk before the event or durable call is acknowledged. When RUNS
can't take more, no new run is begun, and `problem` says why."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from pcloud.errors import PCloudError
from projections.runs.record import Run, encode_run

__all__ = ["Journal", "RunLog"]

log = logging.getLogger(__name__)
RETRY = 1.0


class RunLog(Protocol):
    """The part of `eventstore.EventStore.runs` that is needed here."""

    async def put(self, app: str, action: str, id: str, body: bytes, ttl: float | None = None) -> object: ...


class Journal:
    """`close()` it in the end; what was not written by then is found again by whoever is given the event next."""

    def __init__(self, runs: RunLog, *, delay: float, done_ttl: float) -> None:
        self._runs = runs
        self._delay = delay
        self._done_ttl = done_ttl
        self._noted: dict[str, Run] = {}
        self._writing: dict[str, _Writer] = {}
        self._refused = ""
        self.full = ""

    @property
    def problem(self) -> str:
        """Why no new runs are started; '' when they are."""
        return self.full or self._refused

    async def begin(self, run: Run) -> None:
        """Note a run that is about to start; waits while RUNS takes nothing, or `full` says why it should not."""
        while self.problem:
            if self.full or not await self._try(run):
                await asyncio.sleep(RETRY)
        self.note(run)

    def note(self, run: Run) -> None:
        """Have this state written soon, unless a newer one comes first."""
        self._noted[run.id] = run
        if run.id not in self._writing:
            self._writing[run.id] = _Writer(self, run.id)

    async def settle(self, run: Run) -> None:
        """Return once this last state is stored, however long that takes."""
        self._noted.pop(run.id, None)
        if (writer := self._writing.get(run.id)) is not None:
            await writer.stop()
        while True:
            if await self._try(run):
                return
            await asyncio.sleep(RETRY)

    async def close(self) -> None:
        self._noted.clear()
        await asyncio.gather(*(writer.stop() for writer in list(self._writing.values())))

    async def _write(self, id: str) -> None:
        while (run := self._noted.pop(id, None)) is not None:
            await self._try(run)

    async def _try(self, run: Run) -> bool:
        try:
            ttl = self._done_ttl if run.state == "DONE" else None
            await self._runs.put(run.app, run.action, run.id, encode_run(run), ttl)
        except PCloudError as error:
            if not self._refused:
                log.error("a run can't be recorded, no new ones are started: %s", error)
            self._refused = f"no new runs are started: {error}"
            return False
        if self._refused:
            log.warning("runs can be recorded again")
            self._refused = ""
        return True


class _Writer:
    """Writes the states of one run, the first of them after a moment."""

    def __init__(self, journal: Journal, id: str) -> None:
        self._journal, self._id = journal, id
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(journal._delay, self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"record {self._id}")

    async def _run(self) -> None:
        try:
            await self._journal._write(self._id)
        finally:
            self._journal._writing.pop(self._id, None)

    async def stop(self) -> None:
        """Drop what is still waiting; what is being sent arrives before anything that is sent later."""
        self._timer.cancel()
        if self._task is not None:
            await asyncio.wait((self._task,))
        self._journal._writing.pop(self._id, None)
