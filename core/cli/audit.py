"""`pcloud audit`: who called what, and who was refused what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.actors import who
from core.cli.client import open_client
from core.cli.runs import check_app
from core.cli.terminal import AsJson, DataOption, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["audit"]

KINDS = ("call", "send", "api", "bus", "limit", "archive", "web", "network")
QUERY = "query($first: Int, $app: String, $kind: String) { audit(first: $first, app: $app, kind: $kind) }"


def audit(
    data: DataOption,
    app: Annotated[str | None, typer.Option(help="What this app did, and what was done to it.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only this kind: call, send, api, bus, limit, archive, web or network.")
    ] = None,
    first: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List who called what, and who was refused what, newest first."""
    if kind is not None and kind not in KINDS:
        raise Rejected(f"{kind!r} is not a kind of record: use one of {', '.join(KINDS)}")
    found = run(fetch(data, app=app, kind=kind, first=first))
    if app and not found:
        run(check_app(data, app, lambda: fetch(data, app=app, first=1)))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            moment(entry),
            entry["kind"],
            who(entry),
            entry.get("action") or entry.get("target", ""),
            ended(entry),
        )
        for entry in found
    ]
    notes = [entry.get("what", "") for entry in found]
    print_table(("WHEN", "KIND", "WHO", "WHAT", "HOW IT ENDED"), rows, empty="There is no such record.", notes=notes)


async def fetch(data: Path, **wanted: Any) -> Any:
    async with open_client(data) as client:
        return (await client.graphql(QUERY, wanted))["audit"]


def moment(entry: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["time"]))


def ended(entry: dict[str, Any]) -> str:
    """Return how the call ended: its duration, or how often it was refused."""
    if entry.get("count", 1) > 1:
        return f"{entry['outcome']} ×{entry['count']:,}"
    return f"OK {entry['seconds'] * 1000:,.1f} ms" if entry["outcome"] == "OK" else entry["outcome"]
