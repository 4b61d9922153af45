"""What the owner does with runs that FAILED: have them made again, or take them off the list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from core.work.call import Job, RoleAction, encode_job, parse_stored
from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.sight import Sight
from pcloud.errors import Conflict, Forbidden, NotFound
from projections.directory import Directory
from projections.runs.record import Run
from projections.runs.view import RunsView

__all__ = ["DISMISSED_TTL", "FailedRuns"]

DISMISSED_TTL = 7 * 86400.0  # nodes that are away for so long hear of it
PAGE = 200


class FailedRuns:
    """Reads the runs view; what it decides is written to WORK and RUNS. `find`: the attached trigger, or `NotFound`."""

    def __init__(
        self,
        store: Any,
        runs: RunsView,
        find: Callable[[str], tuple[AttachedApp, AttachedTrigger]],
        sight: Sight,
        directory: Directory,
    ) -> None:
        self._store, self._runs, self._find, self._sight, self._directory = store, runs, find, sight, directory

    async def run(self, id: str) -> Run:
        """Any run; raises `NotFound`."""
        run = await self._runs.get(id)
        if run is None:
            raise NotFound(f"there is no run {id!r}: `pcloud runs` lists them")
        return run

    async def retry(self, id: str) -> Run:
        """Have the run made again with all its attempts, as a durable call; its id and generation stay, so what it
        has written is found. Raises `NotFound`, also for a role that no app holds, `Conflict` when it has not failed, or `Forbidden` when
        its trigger may no longer see what it is about."""
        run = await self._failed(id)
        now = time.time()
        job = Job(
            id=run.id, kind=run.kind, app=run.app, action=run.action, args=run.args, actions=run.actions, actor=run.actor,
            through=run.through, created=now,
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

    async def each(self, command: Callable[[str], Awaitable[Run]], app: str | None, trigger: str | None) -> int:
        """Do `command` to every run that has FAILED by now; how many those were. One that is made again meanwhile is
        passed over."""
        done = 0
        after: str | None = None
        while True:
            page = await self._runs.list(app=app, state="FAILED", trigger=trigger, first=PAGE, after=after)
            done += sum(await asyncio.gather(*(_done(command, run.id) for run in page.runs)))
            if (after := page.after) is None:
                return done

    async def _failed(self, id: str) -> Run:
        run = await self.run(id)
        if run.state != "FAILED":
            raise Conflict(f"the run {id} is {run.state}: only a FAILED one can be retried or dismissed")
        return run

    def _target(self, run: Run) -> str:
        """What a trigger calls, as its manifest says it now: a role may have another holder."""
        if not run.trigger:
            return run.target
        try:
            plan = self._find(run.trigger)[1].plan
            self._sight.demand(plan)
            return plan.target
        except NotFound:
            return f"{run.app}/{run.action}"

    def _worker(self, run: Run) -> str:
        """Whose durable calls it is among: the app's that has the trigger or init action, else the called one's."""
        if run.kind == "send" and run.target and isinstance(target := parse_stored(run.target), RoleAction):
            return self._directory.holder(target.role)
        return run.trigger.partition("/")[0] or run.app


async def _done(command: Callable[[str], Awaitable[Run]], id: str) -> bool:
    with suppress(Conflict, Forbidden, NotFound):
        await command(id)
        return True
    return False
