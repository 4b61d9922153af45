"""What the owner does with a run that FAILED: have it made again, or take it off the list."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from core.call import Job, encode_job
from pcloud.errors import Conflict, NotFound
from projections.runs.record import Run
from projections.runs.view import RunsView

if TYPE_CHECKING:
    from core.processor.processor import Processor

__all__ = ["DISMISSED_TTL", "FailedRuns"]

DISMISSED_TTL = 7 * 86400.0  # nodes that are away for so long hear of it


class FailedRuns:
    """Reads the runs view; what it decides is written to WORK and RUNS."""

    def __init__(self, processor: Processor, runs: RunsView) -> None:
        self._processor, self._runs = processor, runs

    async def retry(self, id: str) -> Run:
        """Have the run made again with all its attempts, as a durable call; its id and generation stay, so what it
        has written is found. Raises `NotFound`, or `Conflict` when it has not failed."""
        run = await self._failed(id)
        now = time.time()
        job = Job(
            id=run.id, kind=run.kind, app=run.app, action=run.action, args=run.args, actor=run.actor, created=now,
            target=self._target(run), trigger=run.trigger, entity=run.entity, sequence=run.sequence, generation=run.generation,
            cause=run.cause, depth=run.depth, attempts=run.attempts, replay=run.generation > 0,
        )  # fmt: skip
        # An id of its own in the queue, where the first one may still be remembered.
        await self._store.work.put(self._worker(run), run.action, f"{run.id}-{int(now * 1000):x}", encode_job(job))
        return run

    async def dismiss(self, id: str) -> Run:
        """Take the run off the list. Raises `NotFound`, or `Conflict` when it has not failed."""
        run = await self._failed(id)
        await self._store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL)
        return run

    @property
    def _store(self) -> Any:
        return self._processor.store

    async def _failed(self, id: str) -> Run:
        run = await self._runs.get(id)
        if run is None:
            raise NotFound(f"there is no run {id!r}: `pcloud runs` lists them")
        if run.state != "FAILED":
            raise Conflict(f"the run {id} is {run.state}: only a FAILED one can be retried or dismissed")
        return run

    def _target(self, run: Run) -> str:
        """What a trigger calls, as its manifest says it now: a role may have another holder."""
        if not run.trigger:
            return ""
        try:
            return self._processor.trigger(run.trigger)[1].plan.target
        except NotFound:
            return f"{run.app}/{run.action}"

    def _worker(self, run: Run) -> str:
        """Whose durable calls it is among: the trigger's own app, which is attached, else the called one."""
        return run.trigger.partition("/")[0] or run.app
