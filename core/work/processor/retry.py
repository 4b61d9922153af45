"""The owner's commands for FAILED runs: retry them, or dismiss them from the list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.work.call import Job, RoleAction, encode_job, parse_stored
from core.work.processor.attached import AttachedApp, AttachedTrigger
from core.work.processor.sight import Sight
from eventstore import EventStore
from pcloud.errors import Conflict, Forbidden, NotFound
from pcloud.subject import split_name
from projections.directory import Directory
from projections.runs.projection import RunsProjection
from projections.runs.record import Run

__all__ = ["DISMISSED_TTL", "FailedRuns"]

DISMISSED_TTL = 7 * 86400.0  # nodes that are away for up to this long still see it
PAGE = 200


class FailedRuns:
    """Reads the runs projection; its decisions are written to WORK and RUNS. `find`: returns the attached trigger, or raises `NotFound`."""

    def __init__(
        self,
        store: EventStore,
        runs: RunsProjection,
        find: Callable[[str], tuple[AttachedApp, AttachedTrigger]],
        sight: Sight,
        directory: Directory,
    ) -> None:
        self._store, self._runs, self._find, self._sight, self._directory = store, runs, find, sight, directory

    async def run(self, id: str) -> Run:
        """Return any run. Raises `NotFound`."""
        run = await self._runs.get(id)
        if run is None:
            raise NotFound(f"there is no run {id!r}: `pcloud runs` lists them")
        return run

    async def retry(self, id: str) -> Run:
        """Have the run made again with all its attempts, as a durable call; its id and generation stay, so that its earlier
        writes are found. Raises `NotFound`, also for a role that no app holds, `Conflict` if it has not failed, or `Forbidden` if
        its trigger may no longer see its entity."""
        run = await self._failed(id)
        now = time.time()
        job = Job(
            id=run.id, kind=run.kind, app=run.app, action=run.action, args=run.args, actions=run.actions, actor=run.actor,
            through=run.through, created=now,
            target=self._target(run), trigger=run.trigger, entity=run.entity, sequence=run.sequence, generation=run.generation,
            cause=run.cause, depth=run.depth, attempts=run.attempts, replay=run.generation > 0,
        )  # fmt: skip
        # A new id in the queue, which may still remember the first one.
        await self._store.work.put(self._worker(run), run.action, f"{run.id}-{int(now * 1000):x}", encode_job(job))
        return run

    async def dismiss(self, id: str) -> Run:
        """Take the run off the list. Raises `NotFound`, or `Conflict` if it has not failed."""
        run = await self._failed(id)
        await self._store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL)
        return run

    async def each(self, command: Callable[[str], Awaitable[Run]], app: str | None, trigger: str | None) -> int:
        """Apply `command` to every run that has FAILED by now; return their number. A run that is retried meanwhile is
        skipped."""
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
        """Return what the trigger calls by its current manifest: a role may have another holder."""
        if not run.trigger:
            return run.target
        try:
            compiled = self._find(run.trigger)[1].compiled
            self._sight.demand(compiled)
            return compiled.target
        except NotFound:
            return f"{run.app}/{run.action}"

    def _worker(self, run: Run) -> str:
        """Return the app whose durable calls it belongs to: the app with the trigger or init action, else the called one."""
        if run.kind == "send" and run.target and isinstance(target := parse_stored(run.target), RoleAction):
            return self._directory.holder(target.role)
        return split_name(run.trigger)[0] or run.app


async def _done(command: Callable[[str], Awaitable[Run]], id: str) -> bool:
    with suppress(Conflict, Forbidden, NotFound):
        await command(id)
        return True
    return False
