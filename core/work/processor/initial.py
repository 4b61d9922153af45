"""Init actions as runs of the kind `init`: the calls that an installation makes, once each, with retries, and recorded
so that the owner can see failures."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from core.access.caller import Caller, RunContext
from core.work.call import ActionName, CallAnswer, Calls, HandlerFailed, RoleAction, parse_target
from core.work.processor.backoff import Backoff
from core.work.processor.done_or_failed import RunExecutor, resume
from core.work.processor.slots import Slots
from core.work.processor.stored_run import stored_run
from eventstore import RunStore
from pcloud.errors import Forbidden, NotFound, PCloudError, Rejected, Unavailable, error_from_code
from pcloud.manifest import split_arguments
from projections.runs.record import Run

__all__ = ["InitialRuns"]

BACKOFF = Backoff(first=0.1, longest=3.0)
FINAL = (Rejected, Forbidden, NotFound)
ATTEMPTS = 1000  # the time limit comes first


class InitialRuns:
    """The installation itself survives a kill, and asks again for what is not done: nothing is queued here."""

    def __init__(self, runs: RunStore, calls: Calls, executor: RunExecutor) -> None:
        self._runs, self._calls, self._executor = runs, calls, executor

    async def run(
        self, app: str, number: int, call: str, args: Mapping[str, Any], *, installation: str, seconds: float
    ) -> Run:
        """Run the app's init action `number`, unless it is DONE already; return its run. `installation` distinguishes one
        installation of the app from the next. Raises the error of a run that FAILED: a refusal at once, any other error
        after `seconds`."""
        run = self._new_run(app, number, call, args, installation)
        before = await stored_run(self._runs, run)
        if before is not None and before.state == "DONE":
            return before
        # A FAILED run starts again: before a new installation, its cause may have been removed.
        run = msgspec.structs.replace(resume(run, before), args=run.args)  # with the manifest's arguments
        last: list[Exception] = []
        try:
            async with asyncio.timeout(seconds):
                ended = await self._executor.execute(
                    run, lambda run: self._attempt(run, last), Slots(1), backoff=BACKOFF, final=FINAL
                )
        except TimeoutError as error:
            reason = last[-1] if last else "it gave no answer"
            late = Unavailable(f"{call} did not work within {seconds:.0f} s: {reason}")
            await self._executor.refuse(run, late)
            raise late from error
        if ended.state == "FAILED" and ended.error is not None:
            raise error_from_code(ended.error.code, ended.error.message) from (last[-1] if last else None)
        return ended

    def _new_run(self, app: str, number: int, call: str, args: Mapping[str, Any], installation: str) -> Run:
        key = "\0".join(("init", app, installation, str(number)))
        target = call if "/" in call else f"{app}/{call}"
        parsed = parse_target(target)
        if isinstance(parsed, ActionName):
            owner = parsed.app
        elif isinstance(parsed, RoleAction):
            owner = app  # the app that holds the role, which may change
        else:
            raise Rejected("an init action must be one of the app's own, app/action or role:ROLE/action")
        values, actions = split_arguments(args)
        return Run(
            id=hashlib.sha256(key.encode()).hexdigest()[:32], app=owner, action=parsed.action, kind="init", target=target,
            attempts=ATTEMPTS, args=values, actions=actions, actor=Caller("app", app).actor, created=time.time(),
        )  # fmt: skip

    async def _attempt(self, run: Run, last: list[Exception]) -> CallAnswer:
        caller = Caller("app", run.actor.removeprefix("app:"))
        try:
            name = self._calls.authorization.resolve(caller, parse_target(run.target))
            args = self._calls.check(name, run.args, run.actions)
            return await self._calls.invoker.invoke(
                caller, name, args, RunContext(run.id), actions=run.actions, attempt=run.attempt, start_wait=0.0
            )
        except (HandlerFailed, PCloudError) as error:
            last[:] = [error]
            raise
