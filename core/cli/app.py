"""`pcloud app …`: pack, install, list, logs, remove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from core.cli.client import Client, open_client
from core.cli.dev import dev
from core.cli.new import lock, new
from core.cli.sign import SignOption, sign, signed
from core.cli.terminal import AsJson, DataOption, confirm, console, facts, plain, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["archive_at", "commands", "install_archive"]

commands = typer.Typer(no_args_is_help=True, help="Applications: pack, install, list, logs, remove.")
Archive = Annotated[Path, typer.Argument(help="An archive (.tar.gz, .zip) or an app's folder.", exists=True)]
Name = Annotated[str, typer.Argument(help="The app's name.")]


def archive_at(path: Path) -> bytes:
    """The archive at `path`; a folder is packed first."""
    from core.app import packed

    return packed(path).data if path.is_dir() else path.read_bytes()


@commands.command("pack")
def pack_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The app's folder.")],
    target: Annotated[
        Path | None, typer.Option("--to", help="The archive to write; by default NAME-VERSION.tar.gz here.")
    ] = None,
    key: SignOption = None,
    as_json: AsJson = False,
) -> None:
    """Pack an app's folder: the same input always gives the same bytes."""
    from core.app import packed, read_archive

    checked = packed(folder)
    if key is not None:
        checked = read_archive(signed(checked.data, key))
    name, version = checked.manifest.name, checked.manifest.version
    target = target or Path(f"{name}-{version}.tar.gz")
    try:
        target.write_bytes(checked.data)
    except OSError as error:
        raise Rejected(f"{target} can't be written: {error.strerror or error}; name another file with --to") from error
    if as_json:
        size = len(checked.data)
        print_json({"name": name, "version": version, "archive": str(target), "bytes": size, "sha256": checked.sha256})
        return
    facts.print(f"{plain(target)}  {len(checked.data):,} bytes  sha256 {checked.sha256}")


commands.command("new")(new)
commands.command("lock")(lock)
commands.command("dev")(dev)
commands.command("sign")(sign)


@commands.command()
def install(
    archive: Archive,
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve every grant.")] = False,
    unconfined: Annotated[
        bool, typer.Option("--unconfined", help="Run an archive that is not one of the bundled apps without a sandbox.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an app asks for, ask for each grant, and install it."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await install_archive(client, archive_at(archive), yes=yes, unconfined=unconfined, say=console.print)

    installed = run(work())
    if as_json:
        print_json(installed)


async def install_archive(
    client: Client, archive: bytes, *, yes: bool, unconfined: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Review on the terminal, then install with each step shown. Returns `{"name", "version", "approved", "rejected"}`."""
    review = await client.ask("POST", "/apps/review", data=archive)
    name = plain(review["name"])
    say(
        f"[bold]{plain(review['title']) or name}[/] {plain(review['version'])}  {plain(review['description'])}".rstrip()
    )
    for note in review["notes"]:
        say(f"  · it will {plain(note)}")
    if review["unconfined"]:
        say("  [bold yellow]! it will run without a sandbox, with all rights of the user that runs PCloud[/]")
    approved = [grant for grant in review["grants"] if allowed(grant, name, yes=yes, say=say)]
    approve = ",".join(grant["id"] for grant in approved)
    query = urlencode({"approve": approve, "unconfined": str(unconfined).lower()})
    async for record in client.lines("POST", f"/apps?{query}", data=archive):
        if "step" in record:
            say(f"  [dim]{plain(record['step'])}[/] {plain(record['detail'])}".rstrip())
    say(f"[green]✓[/] {name} is running")
    words = [grant["text"] for grant in approved]
    rejected = [grant["text"] for grant in review["grants"] if grant not in approved]
    return {"name": review["name"], "version": review["version"], "approved": words, "rejected": rejected}


def allowed(grant: dict[str, Any], name: str, *, yes: bool, say: Callable[[str], None]) -> bool:
    """What the owner says to one grant; raises `Rejected` when the app can't do without it."""
    need = "optional" if grant["optional"] else "required"
    why = f"\n      because: {plain(grant['reason'])}" if grant["reason"] else ""
    say(f"  · {plain(grant['text'])} [dim]({need})[/]{why}")
    if yes or confirm("    allow?", default=True, otherwise="`--yes` approves every grant"):
        return True
    if not grant["optional"]:
        raise Rejected(f"{name} is not installed: it can't work without what you rejected")
    return False


@commands.command("list")
def list_command(data: DataOption, as_json: AsJson = False) -> None:
    """What is installed and how it is doing."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", "/apps")

    apps = run(work())
    if as_json:
        print_json(apps)
        return
    rows = [(app["name"], app["version"], app["state"], app["process"], app["restarts"]) for app in apps]
    notes = [app["error"] or app["reason"] for app in apps]
    empty = "No app is installed: try `pcloud app install FOLDER`."
    print_table(("APP", "VERSION", "STATE", "PROCESS", "RESTARTS"), rows, empty=empty, notes=notes)


@commands.command()
def logs(
    name: Name,
    data: DataOption,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="How many of them.")] = 200,
    as_json: AsJson = False,
) -> None:
    """The last lines that an app wrote."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", f"/apps/{segment(name)}/logs?lines={lines}")

    found = run(work())
    if as_json:
        print_json(found)
        return
    for entry in found:
        print("".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in entry))


@commands.command()
def remove(
    name: Name,
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Stop an app and take it away; what it stored is kept."""
    if not yes and not confirm(f"Remove {name}? What it stored is kept.", otherwise="`--yes` removes without asking"):
        raise Rejected(f"{name} is not removed: you said no")

    async def work() -> None:
        async with open_client(data) as client:
            await client.ask("DELETE", f"/apps/{segment(name)}")

    run(work())
    console.print(f"[green]✓[/] {plain(name)} is removed")


def segment(text: str) -> str:
    """A name as one segment of a path, whatever stands in it."""
    return quote(text, safe="")
