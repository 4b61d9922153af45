"""`pcloud app limits`: how much of the machine an app may use, and the owner's changes."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.life import Name, segment
from core.cli.terminal import AsJson, DataOption, console, plain, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["limits"]

SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B?|B)?", re.IGNORECASE)
UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def limits(
    name: Name,
    data: DataOption,
    memory: Annotated[
        str | None, typer.Option("--memory", help="For all its processes together, such as 2GiB.")
    ] = None,
    processes: Annotated[int | None, typer.Option("--processes", help="Processes and threads at once.")] = None,
    disk: Annotated[
        str | None, typer.Option("--disk", help="Size of its data folder, such as 4GiB; none: no limit.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", help="What it writes into the graph, with all changes, such as 4GiB; none: no limit."),
    ] = None,
    files: Annotated[
        str | None, typer.Option("--files", help="Files and connections open at once in each process; none: no limit.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Return to the manifest's limits, except those given here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how much of the machine an app may use, or change it. A change restarts a running app; --graph applies at once."""
    said = {
        "memory": None if memory is None else bytes_of(memory),
        "processes": processes,
        "disk": None if disk is None else bytes_of(disk, none=True),
        "graph": None if graph is None else bytes_of(graph, none=True),
        "files": None if files is None else count_of(files),
    }
    changes = {limit: value for limit, value in said.items() if reset or value is not None}

    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        async with open_client(data) as client:
            path = f"/apps/{segment(name)}"
            after = await client.ask("POST", f"{path}/limits", json_body=changes) if changes else dict[str, Any]()
            return after, await client.ask("GET", path)

    after, detail = run(work())
    if as_json:
        print_json({**detail["limits"], "used": detail["used"]})
        return
    rows = [
        (
            limit, said_of(limit, value), said_of(limit, detail["limits_asked"][limit]),
            said_of(limit, detail["used"][limit], none="0") if limit in detail["used"] else "",
        )
        for limit, value in detail["limits"].items()
    ]  # fmt: skip
    print_table(("LIMIT", "NOW", "THE APP ASKS FOR", "USED"), rows, empty="")
    if after and detail["state"] == "PAUSED":
        console.print(f"{plain(name)} is paused ({plain(detail['error'])}): `pcloud app resume {plain(name)}`")


def bytes_of(text: str, *, none: bool = False) -> int:
    """Return `2GiB`, `512 MiB` or `1048576` in bytes. Raises `Rejected`. `none`: accept that word as 0."""
    if none and text.lower() == "none":
        return 0
    if (found := SIZE.fullmatch(text.strip())) is None:
        raise Rejected(f"{text!r} is not a size: use one such as 512MiB or 2GiB{', or none' if none else ''}")
    return int(float(found[1]) * UNITS[(found[2] or "")[:1].upper()])


def count_of(text: str) -> int:
    """Return `4096` as a number, `none` as 0. Raises `Rejected`."""
    if text.lower() == "none":
        return 0
    if not text.isdecimal():
        raise Rejected(f"{text!r} is not a number: use one such as 4096, or none")
    return int(text)


def said_of(limit: str, value: int, none: str = "none") -> str:
    from core.apps.review.limits import COUNTS, size

    if not value:
        return none
    return str(value) if limit in COUNTS else size(value)
