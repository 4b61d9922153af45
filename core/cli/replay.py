"""`pcloud replay`: sends events of the past through a trigger again; shows, pauses, resumes and cancels replays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.cli.client import Client, open_client
from core.cli.terminal import AsJson, DataOption, console, facts, plain, print_json, run
from pcloud.errors import Rejected
from pcloud.subject import split_name

__all__ = ["replay"]

BEGIN = (
    "mutation($trigger: String!, $from: String, $type: String, $id: String, $dryRun: Boolean) "
    "{ replay(trigger: $trigger, from: $from, type: $type, id: $id, dryRun: $dryRun) }"
)
STEER = {
    "pause": "mutation($trigger: String!) { pauseReplay(trigger: $trigger) }",
    "resume": "mutation($trigger: String!) { resumeReplay(trigger: $trigger) }",
    "cancel": "mutation($trigger: String!) { cancelReplay(trigger: $trigger) }",
}
TRIGGERS = "query($app: String!) { triggers(app: $app) }"
LOOK = 0.5  # seconds


def replay(
    trigger: Annotated[str, typer.Argument(metavar="APP/TRIGGER", help="The trigger, as in the app's manifest.")],
    data: DataOption,
    start: Annotated[
        str, typer.Option("--from", help="'start', a sequence of the log, or a time such as 2026-11-01T00:00:00Z.")
    ] = "start",
    type: Annotated[str, typer.Option("--type", help="Only events of this type, APP/TYPE.")] = "",
    id: Annotated[str, typer.Option("--id", help="Only events of the entity with this id.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print how many events match.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Pause the replay in progress.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the paused replay.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the replay in progress.")] = False,
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Wait until it is over; the default on a terminal."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send events of the past through a trigger again, in parallel to new ones."""
    wanted = [name for name, asked in (("pause", pause), ("resume", resume), ("cancel", cancel)) if asked]
    if len(wanted) + dry_run > 1:
        raise Rejected("use one of --dry-run, --pause, --resume and --cancel")
    stay = not as_json and console.is_terminal if wait is None else wait
    if wanted:
        answer = run(ask(data, STEER[wanted[0]], {"trigger": trigger}))
        verb = {"pause": "is paused", "resume": "continues", "cancel": "is cancelled"}[wanted[0]]
        said = f"the replay through {plain(trigger)} {verb}: {progress_of(answer)}"
    else:
        variables = {"trigger": trigger, "from": start, "type": type, "id": id, "dryRun": dry_run}
        answer = run(ask(data, BEGIN, variables))
        verb = "would be replayed" if dry_run else "are being replayed"
        said = f"{answer['events']:,} events {verb} through {plain(trigger)}"
    if as_json:
        print_json(answer)
    else:
        facts.print(said)
    if stay and not dry_run and not pause and not cancel:
        watch(trigger, data)


async def ask(data: Path, query: str, variables: dict[str, Any]) -> Any:
    async with open_client(data) as client:
        (answer,) = (await client.graphql(query, variables)).values()
        return answer


def progress_of(shown: dict[str, Any]) -> str:
    passed = shown["events"] - shown["remaining"]
    return f"{passed:,} of {shown['events']:,} events, {shown['done']:,} runs done, {shown['failed']:,} failed"


def watch(trigger: str, data: Path) -> None:
    """Show a progress bar until the replay is over or paused. Ctrl-C leaves the replay running."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    async def work() -> dict[str, Any]:
        async with open_client(data) as client:
            with Progress(*columns, console=console) as progress:
                task = progress.add_task(plain(trigger), total=None)
                while (shown := await look(client, trigger))["state"] in ("RESETTING", "RUNNING"):
                    progress.update(task, total=shown["events"], completed=shown["events"] - shown["remaining"])
                    await asyncio.sleep(LOOK)
                progress.update(task, total=shown["events"], completed=shown["events"] - shown["remaining"])
                return shown

    try:
        shown = run(work())
    except KeyboardInterrupt:
        console.print("The replay continues; --pause pauses it, --cancel cancels it.")
        return
    console.print(f"{plain(shown['state'])}: {progress_of(shown)}")


async def look(client: Client, trigger: str) -> dict[str, Any]:
    shown = (await client.graphql(TRIGGERS, {"app": split_name(trigger)[0]}))["triggers"]
    for one in shown:
        if one["trigger"] == trigger:
            return one
    raise Rejected(f"the trigger {trigger} is gone: its app was removed or paused")
