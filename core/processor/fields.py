"""What the owner sees of the event processor, and tells it, over GraphQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.api import FieldInfo, RootField
from core.caller import Caller
from core.processor.processor import Processor
from projections.runs.record import Run

__all__ = ["processor_fields"]

# Runs, newest first; the last one carries `_cursor` when `after` can go on from there. State: NEW, IN_PROGRESS, DONE or FAILED.
RUNS = "runs(app: String, state: String, trigger: String, first: Int, after: String): [JSON!]!"
# How many runs there are in each state.
COUNTS = "runCounts(app: String): JSON!"
# One run with its `chain`: what led to it, back to the person, device or app that began it; each {kind, id, actor, through,
# time, what}.
RUN = "run(id: String!): JSON!"
# Triggers of the apps that are at work, with the state and progress of their history or newest replay.
TRIGGERS = "triggers(app: String): [JSON!]!"
# Have a FAILED run made again; all of them; take one off the list; all of them. `app`, `trigger` ("app/trigger"): only its own.
RETRY = "retryRun(id: String!): JSON!"
RETRY_ALL = "retryRuns(app: String, trigger: String): Int!"
DISMISS = "dismissRun(id: String!): JSON!"
DISMISS_ALL = "dismissRuns(app: String, trigger: String): Int!"
# Send events of the past through `app/trigger` again. `from`: 'start', a sequence of the log, or a time.
REPLAY = "replay(trigger: String!, from: String, type: String, id: String, dryRun: Boolean): JSON!"
# Halt the replay (or first history) of `app/trigger`, go on with it, or give it up; each answers as `triggers`.
PAUSE = "pauseReplay(trigger: String!): JSON!"
RESUME = "resumeReplay(trigger: String!): JSON!"
CANCEL = "cancelReplay(trigger: String!): JSON!"
FIRST = 50

Arguments = dict[str, Any]


def processor_fields(processor: Processor) -> list[RootField]:
    """For `Api.add_fields`; the owner's and the owner's devices' alone."""
    return [*_queries(processor), *_run_commands(processor), *_replay_commands(processor)]


def _queries(processor: Processor) -> list[RootField]:
    async def runs(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        wanted = {name: arguments.get(name) for name in ("app", "state", "trigger", "after")}
        page = await processor.runs.list(**wanted, first=arguments.get("first") or FIRST)
        shown = [_shown(run) for run in page.runs]
        if page.after is not None:
            shown[-1]["_cursor"] = page.after
        return shown

    async def counts(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.runs.counts(arguments.get("app"))

    async def run(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.described(arguments["id"])

    async def triggers(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.triggers(arguments.get("app"))

    return [
        RootField("query", RUNS, runs),
        RootField("query", COUNTS, counts),
        RootField("query", RUN, run),
        RootField("query", TRIGGERS, triggers),
    ]


def _run_commands(processor: Processor) -> list[RootField]:
    async def retry(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return _shown(await processor.retry(arguments["id"]))

    async def dismiss(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return _shown(await processor.dismiss(arguments["id"]))

    async def retry_all(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.retry_all(arguments.get("app"), arguments.get("trigger"))

    async def dismiss_all(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.dismiss_all(arguments.get("app"), arguments.get("trigger"))

    return [
        RootField("mutation", RETRY, retry),
        RootField("mutation", RETRY_ALL, retry_all),
        RootField("mutation", DISMISS, dismiss),
        RootField("mutation", DISMISS_ALL, dismiss_all),
    ]


def _replay_commands(processor: Processor) -> list[RootField]:
    async def replay(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
        return await processor.replay(
            arguments["trigger"],
            arguments.get("from") or "start",
            type=arguments.get("type") or "",
            id=arguments.get("id") or "",
            dry_run=bool(arguments.get("dryRun")),
            actor=caller.actor,
        )

    def steer(command: Callable[[str, str], Awaitable[Any]]) -> Any:
        async def resolve(caller: Caller, arguments: Arguments, info: FieldInfo) -> Any:
            return await command(arguments["trigger"], caller.actor)

        return resolve

    return [
        RootField("mutation", REPLAY, replay),
        RootField("mutation", PAUSE, steer(processor.pause_replay)),
        RootField("mutation", RESUME, steer(processor.resume_replay)),
        RootField("mutation", CANCEL, steer(processor.cancel_replay)),
    ]


def _shown(run: Run) -> dict[str, Any]:
    """All fields of the record, those without a value too."""
    return {name: msgspec.to_builtins(getattr(run, name)) for name in Run.__struct_fields__}
