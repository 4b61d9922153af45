"""`pcloud export` and `pcloud import`: all that is the owner's as plain folders, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.backup import Progress, followed, size
from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, facts, plain, print_json, run

__all__ = ["export", "import_"]


def export(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="An empty folder, or that of an earlier export, which is brought up to date."
        ),
    ],
    data: DataOption,
    as_json: AsJson = False,
) -> None:
    """Export all that is yours as plain files, while the node works: photographs with XMP sidecars, other objects, the graph as JSON."""

    async def work(progress: Progress) -> Any:
        from core.export.write import write_export

        async with open_client(data) as client:
            return await write_export(client, folder.expanduser().absolute(), data, progress)

    done = run(followed(work))
    if as_json:
        print_json(done)
        return
    facts.print(
        f"[green]✓[/] exported to {plain(done['folder'])}: {done['photographs']:,} photographs, {done['objects']:,} objects, "
        f"{done['nodes']:,} nodes; {size(done['bytes'])} fetched ({done['seconds']:,.1f} s)"
    )
    if done["missing"]:
        facts.print(
            f"[yellow]{done['missing']:,} objects are missing:[/] missing.jsonl in that folder says which, and why"
        )


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A complete export.")],
    data: DataOption,
    as_json: AsJson = False,
) -> None:
    """Read an export back into an empty cloud, after all of it was checked. Interrupted, it goes on; repeated, it changes nothing."""

    async def work(progress: Progress) -> Any:
        from core.export.read_back import read_export

        async with open_client(data) as client:
            return await read_export(client, folder.expanduser().absolute(), data, progress)

    done = run(followed(work))
    if as_json:
        print_json(done)
        return
    facts.print(
        f"[green]✓[/] {plain(done['folder'])} is in this cloud: {done['transactions']:,} transactions and {done['objects']:,} objects "
        f"were written now ({done['seconds']:,.1f} s)"
    )
