"""What the owner sees of the event processor, and tells it, over GraphQL."""

from __future__ import annotations

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
# Have a FAILED run made again.
RETRY = "retryRun(id: String!): JSON!"
# Take a FAILED run off the list.
DISMISS = "dismissRun(id: String!): JSON!"
# Send events of the past through `app/trigger` again. `from`: 'start', a sequence of the log, or a time.
REPLAY = "replay(trigger: String!, from: String, type: String, id: String, dryRun: Boolean): JSON!"
FIRST = 50


def processor_fields(processor: Processor) -> list[RootField]:
    """For `Api.add_fields`; the owner's and the owner's devices' alone."""

    async def runs(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        wanted = {name: arguments.get(name) for name in ("app", "state", "trigger", "after")}
        page = await processor.runs.list(**wanted, first=arguments.get("first") or FIRST)
        shown = [_shown(run) for run in page.runs]
        if page.after is not None:
            shown[-1]["_cursor"] = page.after
        return shown

    async def counts(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return await processor.runs.counts(arguments.get("app"))

    async def retry(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return _shown(await processor.retry(arguments["id"]))

    async def dismiss(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return _shown(await processor.dismiss(arguments["id"]))

    async def replay(caller: Caller, arguments: dict[str, Any], info: FieldInfo) -> Any:
        return await processor.replay(
            arguments["trigger"],
            arguments.get("from") or "start",
            type=arguments.get("type") or "",
            id=arguments.get("id") or "",
            dry_run=bool(arguments.get("dryRun")),
            actor=caller.actor,
        )

    return [
        RootField("query", RUNS, runs),
        RootField("query", COUNTS, counts),
        RootField("mutation", RETRY, retry),
        RootField("mutation", DISMISS, dismiss),
        RootField("mutation", REPLAY, replay),
    ]


def _shown(run: Run) -> dict[str, Any]:
    """All fields of the record, those without a value too."""
    return {name: msgspec.to_builtins(getattr(run, name)) for name in Run.__struct_fields__}
