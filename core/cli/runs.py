"""`pcloud runs …`, `pcloud replay` and `pcloud call`: the event processor's work, seen and steered."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, facts, plain, print_json, print_table, run
from pcloud.errors import NotFound, Rejected

__all__ = ["call", "commands", "parse_arguments", "replay"]

commands = typer.Typer(invoke_without_command=True, help="What the event processor does and did.")
QUERY = "query($app: String, $state: String, $first: Int) { runs(app: $app, state: $state, first: $first) }"
STATES = ("NEW", "IN_PROGRESS", "DONE", "FAILED")
WHOLE = 32  # hex digits of a run's id
SHORT = 12  # as many as a list shows
WIDEST = 160  # letters of a run's arguments


@commands.callback()
def list_runs(
    context: typer.Context,
    data: DataOption,
    app: Annotated[str | None, typer.Option(help="Of this app only.")] = None,
    state: Annotated[str | None, typer.Option(help="NEW, IN_PROGRESS, DONE or FAILED.")] = None,
    first: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first: what the event processor does and did."""
    if context.invoked_subcommand:
        return
    if state and state.upper() not in STATES:
        raise Rejected(f"{state!r} is no state of a run: use {', '.join(STATES)}")
    found = run(fetch_runs(data, app=app, state=state and state.upper(), first=first))
    if as_json:
        print_json(found)
        return
    rows = [
        (entry["id"][:SHORT], entry["state"], f"{entry['app']}/{entry['action']}", tries(entry), when(entry))
        for entry in found
    ]
    notes = [" · ".join(filter(None, (concerning(entry), (entry["error"] or {}).get("message")))) for entry in found]
    print_table(("RUN", "STATE", "ACTION", "TRY", "WHEN"), rows, empty="No run matches.", notes=notes)


async def fetch_runs(data: Path, *, app: str | None = None, state: str | None = None, first: int = 1000) -> Any:
    async with open_client(data) as client:
        return (await client.graphql(QUERY, {"app": app, "state": state, "first": first}))["runs"]


def concerning(entry: dict[str, Any]) -> str:
    """What a run is about: its event's entity, or else its arguments that are texts or numbers."""
    plain_args = (f"{key}={value}" for key, value in entry["args"].items() if isinstance(value, str | int | float))
    return entry["entity"] or textwrap.shorten(" ".join(plain_args), WIDEST, placeholder=" …")


def tries(entry: dict[str, Any]) -> str:
    return f"{entry['attempt']}/{entry['attempts']}"


def when(entry: dict[str, Any]) -> str:
    """The last moment that is known of a run, in local time."""
    moment = entry["ended"] or entry["started"] or entry["created"]
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else ""


def steer(what: str, id: str, data: Path) -> str:
    """Have a failed run retried or dismissed; `id` may be its beginning. Returns the whole id."""

    async def work() -> str:
        whole = id if len(id) >= WHOLE else whole_id(id, await fetch_runs(data, state="FAILED"))
        async with open_client(data) as client:
            await client.ask("POST", f"/runs/{quote(whole, safe='')}/{what}")
        return whole

    return run(work())


def whole_id(beginning: str, failed: Sequence[dict[str, Any]]) -> str:
    """The id of the one failed run that begins so; raises `NotFound` or `Rejected`."""
    fitting = [entry["id"] for entry in failed if entry["id"].startswith(beginning)]
    if not fitting:
        raise NotFound(f"no failed run begins with {beginning!r}: `pcloud runs --state FAILED` lists them")
    if len(fitting) > 1:
        raise Rejected(f"{len(fitting)} failed runs begin with {beginning!r}: write more of the id")
    return fitting[0]


Id = Annotated[str, typer.Argument(help="The run's id, or as much of its beginning as tells it apart.")]


@commands.command()
def retry(id: Id, data: DataOption) -> None:
    """Run a failed run again."""
    console.print(f"[green]✓[/] {steer('retry', id, data)} runs again")


@commands.command()
def dismiss(id: Id, data: DataOption) -> None:
    """Take a failed run off the list; nothing is run."""
    console.print(f"[green]✓[/] {steer('dismiss', id, data)} is dismissed")


def replay(
    trigger: Annotated[str, typer.Argument(metavar="APP/TRIGGER", help="The trigger, as in the app's manifest.")],
    data: DataOption,
    start: Annotated[
        str, typer.Option("--from", help="'start', a sequence of the log, or a time such as 2026-11-01T00:00:00Z.")
    ] = "start",
    type: Annotated[str, typer.Option("--type", help="Only events of this type, APP/TYPE.")] = "",
    id: Annotated[str, typer.Option("--id", help="Only events of the entity with this id.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many events match.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send events of the past through a trigger again, beside what is new."""

    async def work() -> Any:
        body = {"trigger": trigger, "from": start, "type": type, "id": id, "dry_run": dry_run}
        async with open_client(data) as client:
            return await client.ask("POST", "/replay", json_body=body)

    answer = run(work())
    if as_json:
        print_json(answer)
    else:
        verb = "would be replayed" if dry_run else "are being replayed"
        facts.print(f"{answer['events']:,} events {verb} through {plain(trigger)}")


def call(
    target: Annotated[str, typer.Argument(metavar="APP/ACTION", help="The action; APP may be role:ROLE.")],
    data: DataOption,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="The arguments; a VALUE is JSON, or else a text."),
    ] = None,
) -> None:
    """Call an action and print its answer as JSON."""
    if "/" not in target:
        raise Rejected(f"{target!r} names no action: write APP/ACTION, such as object-store/usage")

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask(
                "POST", "/call", json_body={"target": target, "args": parse_arguments(arguments or [])}
            )

    print_json(run(work())["result"])


def parse_arguments(pairs: list[str]) -> dict[str, Any]:
    """`['size=3', 'name=Ada']` as `{"size": 3, "name": "Ada"}`; raises `Rejected` for what is no pair."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Rejected(f"{pair!r} is no argument: write KEY=VALUE, such as image=0190…")
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed
