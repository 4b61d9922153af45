"""`pcloud notices …`: what a person should know about this cloud."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, plain, print_json, print_table, run
from pcloud.errors import NotFound, Rejected

__all__ = ["commands"]

commands = typer.Typer(invoke_without_command=True, help="Notices: what you should know, and what you can do.")
LIST = "query($all: Boolean) { notices(all: $all) }"
DISMISS = "mutation($id: ID!) { dismissNotice(id: $id) }"
RESTORE = "mutation($id: ID!) { restoreNotice(id: $id) }"
SHORT = 8  # digits of an id that the list shows

Id = Annotated[str, typer.Argument(help="The notice's id, or a unique beginning of it.")]


@commands.callback()
def list_notices(
    context: typer.Context,
    data: DataOption,
    all: Annotated[bool, typer.Option("--all", help="Also those that were dismissed or are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the notices, newest first."""
    if context.invoked_subcommand:
        return
    found = graphql(data, LIST, {"all": all})["notices"]
    if as_json:
        print_json(found)
        return
    rows = [(one["id"][:SHORT], one["severity"], moment(one["since"]), one["text"], fate(one)) for one in found]
    notes = [one["advice"] for one in found]
    print_table(("ID", "KIND", "SINCE", "WHAT", ""), rows, empty="Nothing needs you.", notes=notes)


@commands.command()
def dismiss(id: Id, data: DataOption) -> None:
    """Take a notice off the list until it ends."""
    text = steer(DISMISS, id, data)
    console.print(f"[green]✓[/] dismissed: {plain(text)}")


@commands.command()
def restore(id: Id, data: DataOption) -> None:
    """Put a dismissed notice back on the list."""
    text = steer(RESTORE, id, data)
    console.print(f"[green]✓[/] back on the list: {plain(text)}")


def steer(query: str, beginning: str, data: Path) -> str:
    """Return the notice's text. Raises `NotFound`, or `Rejected` for a beginning that several have."""
    found = graphql(data, LIST, {"all": True})["notices"]
    fitting = [one for one in found if one["id"].startswith(beginning)]
    if not fitting:
        raise NotFound(f"no notice begins with {beginning!r}: `pcloud notices --all` lists them")
    if len(fitting) > 1:
        raise Rejected(f"{len(fitting)} notices begin with {beginning!r}: write more of the id")
    (answer,) = graphql(data, query, {"id": fitting[0]["id"]}).values()
    return answer["text"]


def graphql(data: Path, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        async with open_client(data) as client:
            return await client.graphql(query, variables)

    return run(work())


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def fate(one: dict[str, Any]) -> str:
    if one["ended"]:
        return f"over {moment(one['ended'])}"
    return "dismissed" if one["dismissed"] else ""
