"""`pcloud app …`: the group of all its commands, and the read-only ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.dev import dev
from core.cli.install import install, upgrade
from core.cli.life import Name, grant, grants, pause, remove, restart, resume, revoke, rollback, segment, show
from core.cli.limits import limits
from core.cli.new import lock, new
from core.cli.sign import SignOption, sign, signed
from core.cli.terminal import AsJson, DataOption, facts, plain, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["commands"]

commands = typer.Typer(
    no_args_is_help=True, help="Applications: install, watch, limit, upgrade, remove; make and sign."
)


def pack_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The app's folder.")],
    target: Annotated[
        Path | None, typer.Option("--to", help="The archive to write; by default NAME-VERSION.tar.gz here.")
    ] = None,
    key: SignOption = None,
    as_json: AsJson = False,
) -> None:
    """Pack an app's folder: the same input always gives the same bytes."""
    from core.apps import packed, read_archive

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


def list_command(data: DataOption, as_json: AsJson = False) -> None:
    """List the installed apps and their states."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", "/apps")

    apps = run(work())
    if as_json:
        print_json(apps)
        return
    rows = [
        (app["name"], app["version"], app["state"], app["process"], app["restarts"], app["sandbox"], app["author"])
        for app in apps
    ]
    notes = [app["error"] or app["reason"] for app in apps]
    empty = "No app is installed: try `pcloud app install FOLDER`."
    print_table(("APP", "VERSION", "STATE", "PROCESS", "RESTARTS", "SANDBOX", "AUTHOR"), rows, empty=empty, notes=notes)


def logs(
    name: Name,
    data: DataOption,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="How many lines.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new lines until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the last lines that an app wrote, and follow new ones."""

    async def work() -> Any:
        async with open_client(data) as client:
            path = f"/apps/{segment(name)}/logs?lines={lines}"
            if not follow:
                return await client.ask("GET", path)
            async for record in client.lines("GET", f"{path}&follow=true"):
                print(json.dumps(record) if as_json else readable(record["line"]), flush=True)
            return []

    found = run(work())
    if as_json and not follow:
        print_json(found)
        return
    for entry in found:
        print(readable(entry))


def readable(entry: str) -> str:
    """Return a line of an app without control codes for the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in entry)


# In the order of `pcloud app --help`: first commands for owners, then for developers.
for name, command in {
    "install": install, "list": list_command, "show": show, "logs": logs, "grants": grants, "grant": grant,
    "revoke": revoke, "limits": limits, "pause": pause, "resume": resume, "restart": restart, "upgrade": upgrade,
    "rollback": rollback, "remove": remove, "new": new, "dev": dev, "lock": lock, "pack": pack_command, "sign": sign,
}.items():  # fmt: skip
    commands.command(name)(command)
