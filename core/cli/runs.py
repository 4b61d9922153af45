"""`pcloud runs …`, `pcloud replay` and `pcloud call`: the event processor's work, seen and steered."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["call", "commands", "parse_arguments", "replay"]

commands = typer.Typer(invoke_without_command=True, help="What the event processor does and did.")
QUERY = "query($app: String, $state: String, $first: Int) { runs(app: $app, state: $state, first: $first) }"


@commands.callback()
def list_runs(
    context: typer.Context,
    data: DataOption,
    app: Annotated[str | None, typer.Option(help="Of this app only.")] = None,
    state: Annotated[str | None, typer.Option(help="NEW, IN_PROGRESS, DONE or FAILED.")] = None,
    first: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    if context.invoked_subcommand:
        return

    async def work() -> Any:
        async with open_client(data) as client:
            return (await client.graphql(QUERY, {"app": app, "state": state and state.upper(), "first": first}))["runs"]

    found = run(work())
    if as_json:
        print_json(found)
        return
    rows = [
        (entry["id"], entry["state"], f"{entry['app']}/{entry['action']}", entry["entity"], f"{entry['attempt']}/{entry['attempts']}",
         ended(entry), (entry.get("error") or {}).get("message"))
        for entry in found
    ]  # fmt: skip
    print_table(("RUN", "STATE", "ACTION", "ENTITY", "TRY", "ENDED", "ERROR"), rows, empty="No run matches.")


def ended(entry: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["ended"])) if entry.get("ended") else ""


def steer(what: str, id: str, data: Any) -> None:
    async def work() -> None:
        async with open_client(data) as client:
            await client.ask("POST", f"/runs/{id}/{what}")

    run(work())


@commands.command()
def retry(id: str, data: DataOption) -> None:
    """Run a failed run again."""
    steer("retry", id, data)
    console.print(f"[green]✓[/] {id} runs again")


@commands.command()
def dismiss(id: str, data: DataOption) -> None:
    """Take a failed run off the list; nothing is run."""
    steer("dismiss", id, data)
    console.print(f"[green]✓[/] {id} is dismissed")


def replay(
    trigger: Annotated[str, typer.Argument(metavar="APP/TRIGGER")],
    data: DataOption,
    start: Annotated[str, typer.Option("--from", help="'start', a sequence of the log, or a time such as 2026-11-01T00:00:00Z.")] = "start",
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
        console.print(f"{answer['events']} events {verb} through {trigger}")


def call(
    target: Annotated[str, typer.Argument(metavar="APP/ACTION")],
    data: DataOption,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Call an action and print its answer as JSON. A VALUE is JSON, or else a text."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("POST", "/call", json_body={"target": target, "args": parse_arguments(arguments or [])})

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
