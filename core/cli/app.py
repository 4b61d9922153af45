"""`pcloud app …`: pack, install, list, logs, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from core.app import packed
from core.cli.client import Client, open_client
from core.cli.terminal import AsJson, DataOption, console, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["archive_at", "commands", "install_archive"]

commands = typer.Typer(no_args_is_help=True, help="Applications: pack, install, list, logs, remove.")
Archive = Annotated[Path, typer.Argument(help="An archive (.tar.gz, .zip) or an app's folder.", exists=True)]


def archive_at(path: Path) -> bytes:
    """The archive at `path`; a folder is packed first."""
    return packed(path).data if path.is_dir() else path.read_bytes()


@commands.command("pack")
def pack_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    target: Annotated[Path | None, typer.Option("--to", help="The archive to write; by default NAME-VERSION.tar.gz here.")] = None,
) -> None:
    """Pack an app's folder: the same input always gives the same bytes."""
    checked = packed(folder)
    target = target or Path(f"{checked.manifest.name}-{checked.manifest.version}.tar.gz")
    target.write_bytes(checked.data)
    size = f"{len(checked.data):,} bytes"
    console.print(f"packed {checked.manifest.name} {checked.manifest.version}: {target} ({size}, sha256 {checked.sha256})")


@commands.command()
def install(
    archive: Archive,
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve every grant.")] = False,
    unconfined: Annotated[bool, typer.Option(help="Run an archive that is not one of the bundled apps without a sandbox.")] = False,
) -> None:
    """Show what an app asks for, ask for each grant, and install it."""

    async def work() -> None:
        async with open_client(data) as client:
            await install_archive(client, archive_at(archive), yes=yes, unconfined=unconfined, say=console.print)

    run(work())


async def install_archive(client: Client, archive: bytes, *, yes: bool, unconfined: bool, say: Any) -> None:
    """Review on the terminal, then install with each step shown."""
    review = await client.ask("POST", "/apps/review", data=archive)
    say(f"[bold]{review['title'] or review['name']}[/] {review['version']}  {review['description']}".rstrip())
    for note in review["notes"]:
        say(f"  · it will {note}")
    if review["unconfined"]:
        say("  [bold yellow]! it will run without a sandbox, with all rights of the user that runs PCloud[/]")
    approved: list[str] = []
    for grant in review["grants"]:
        need = "optional" if grant["optional"] else "required"
        why = f"\n      because: {grant['reason']}" if grant["reason"] else ""
        say(f"  · {grant['text']} [dim]({need})[/]{why}")
        if yes or typer.confirm("    allow?", default=True, err=True):
            approved.append(grant["id"])
        elif not grant["optional"]:
            raise Rejected(f"{review['name']} is not installed: it can't work without what you rejected")
    query = urlencode({"approve": "all" if yes else ",".join(approved), "unconfined": str(unconfined).lower()})
    async for record in client.lines("POST", f"/apps?{query}", data=archive):
        if "step" in record:
            say(f"  [dim]{record['step']}[/] {record['detail']}".rstrip())
    say(f"[green]✓[/] {review['name']} is running")


@commands.command("list")
def list_command(data: DataOption, as_json: AsJson = False) -> None:
    """What is installed and how it is doing."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", "/apps")

    apps = run(work())
    if as_json:
        print_json(apps)
    else:
        rows = [(app["name"], app["version"], app["state"], app.get("restarts"), app.get("error")) for app in apps]
        print_table(("APP", "VERSION", "STATE", "RESTARTS", "ERROR"), rows, empty="No app is installed: try `pcloud app install FOLDER`.")


@commands.command()
def logs(
    name: str, data: DataOption, lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000)] = 200
) -> None:
    """The last lines that an app wrote."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", f"/apps/{name}/logs?lines={lines}")

    for line in run(work()):
        print(line)


@commands.command()
def remove(name: str, data: DataOption, yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False) -> None:
    """Stop an app and take it away; what it stored is kept."""
    if not yes:
        typer.confirm(f"Remove {name}? What it stored is kept.", abort=True, err=True)

    async def work() -> None:
        async with open_client(data) as client:
            await client.ask("DELETE", f"/apps/{name}")

    run(work())
    console.print(f"[green]✓[/] {name} is removed")
