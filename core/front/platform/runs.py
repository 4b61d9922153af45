"""The event processor over GraphQL, for the owner: runs, triggers and replays."""

from __future__ import annotations

from typing import Any

import msgspec
from ariadne import MutationType, QueryType

from core.graph.api import PlatformFields
from core.work.processor.processor import Processor
from projections.runs.record import Run

__all__ = ["processor_fields"]

SDL = """
type Query {
  # Runs, newest first; the last one carries `_cursor` if `after` can continue from there. State: NEW, IN_PROGRESS, DONE or FAILED.
  runs(app: String, state: String, trigger: String, first: Int, after: String): [JSON!]!
  # The number of runs in each state, and under `waiting` what has no run yet: {calls, objects}, durable calls in the queue, and objects of
  # which the object storage has not told their app; null for what can't be counted now.
  runCounts(app: String): JSON!
  # One run with its `chain`: what led to it, back to the person, device or app that began it; each {kind, id, actor, through,
  # time, what}.
  run(id: String!): JSON!
  # Triggers of the running apps, with the state and progress of their history or newest replay.
  triggers(app: String): [JSON!]!
}
type Mutation {
  # Retry a FAILED run, or all of them; dismiss one from the list, or all of them. `app`, `trigger` ("app/trigger"): only theirs.
  retryRun(id: String!): JSON!
  retryRuns(app: String, trigger: String): Int!
  dismissRun(id: String!): JSON!
  dismissRuns(app: String, trigger: String): Int!
  # Send events of the past through `app/trigger` again. `from`: 'start', a sequence of the log, or a time.
  replay(trigger: String!, from: String, type: String, id: String, dryRun: Boolean): JSON!
  # Pause the replay (or first history) of `app/trigger`, resume it, or cancel it; each answers as `triggers`.
  pauseReplay(trigger: String!): JSON!
  resumeReplay(trigger: String!): JSON!
  cancelReplay(trigger: String!): JSON!
}
"""
FIRST = 50


def processor_fields(processor: Processor) -> list[PlatformFields]:
    """For `Api.add_fields`; only the owner and the owner's devices may use them."""
    return [PlatformFields(SDL, (_queries(processor), _run_commands(processor), _replay_commands(processor)))]


def _queries(processor: Processor) -> QueryType:
    query = QueryType()

    @query.field("runs")
    async def runs(_: Any, info: Any, first: int | None = None, **given: str | None) -> Any:
        wanted = {name: given.get(name) for name in ("app", "state", "trigger", "after")}
        page = await processor.runs.list(**wanted, first=first or FIRST)
        shown = [_shown(run) for run in page.runs]
        if page.after is not None:
            shown[-1]["_cursor"] = page.after
        return shown

    @query.field("runCounts")
    async def counts(_: Any, info: Any, app: str | None = None) -> Any:
        waiting = await processor.backlog.waiting()
        return {**await processor.runs.counts(app), "waiting": waiting.told(app)}

    @query.field("run")
    async def run(_: Any, info: Any, id: str) -> Any:
        return await processor.described(id)

    @query.field("triggers")
    async def triggers(_: Any, info: Any, app: str | None = None) -> Any:
        return await processor.triggers(app)

    return query


def _run_commands(processor: Processor) -> MutationType:
    mutation = MutationType()

    @mutation.field("retryRun")
    async def retry(_: Any, info: Any, id: str) -> Any:
        return _shown(await processor.retry(id))

    @mutation.field("dismissRun")
    async def dismiss(_: Any, info: Any, id: str) -> Any:
        return _shown(await processor.dismiss(id))

    @mutation.field("retryRuns")
    async def retry_all(_: Any, info: Any, app: str | None = None, trigger: str | None = None) -> Any:
        return await processor.retry_all(app, trigger)

    @mutation.field("dismissRuns")
    async def dismiss_all(_: Any, info: Any, app: str | None = None, trigger: str | None = None) -> Any:
        return await processor.dismiss_all(app, trigger)

    return mutation


def _replay_commands(processor: Processor) -> MutationType:
    mutation = MutationType()

    @mutation.field("replay")
    async def replay(_: Any, info: Any, trigger: str, dryRun: bool | None = None, **given: str | None) -> Any:
        return await processor.replay(
            trigger,
            given.get("from") or "start",
            type=given.get("type") or "",
            id=given.get("id") or "",
            dry_run=bool(dryRun),
            actor=info.context.caller.actor,
        )

    @mutation.field("pauseReplay")
    async def pause(_: Any, info: Any, trigger: str) -> Any:
        return await processor.pause_replay(trigger, info.context.caller.actor)

    @mutation.field("resumeReplay")
    async def resume(_: Any, info: Any, trigger: str) -> Any:
        return await processor.resume_replay(trigger, info.context.caller.actor)

    @mutation.field("cancelReplay")
    async def cancel(_: Any, info: Any, trigger: str) -> Any:
        return await processor.cancel_replay(trigger, info.context.caller.actor)

    return mutation


def _shown(run: Run) -> dict[str, Any]:
    """All fields of the record, including those without a value."""
    return {name: msgspec.to_builtins(getattr(run, name)) for name in Run.__struct_fields__}
