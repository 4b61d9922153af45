"""`pcloud support-bundle`: what a bug report needs, in one file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.terminal import AsJson, DataOption, console, plain, print_json, run

__all__ = ["support_bundle"]


def support_bundle(
    data: DataOption,
    file: Annotated[
        Path | None,
        typer.Argument(help="The .tar.gz to write; by default a new one in the current folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a file for a bug report: versions, settings, states, metrics and the log, without names, texts, places, addresses and secrets.
    Works while no node runs, too."""
    from core.cli.bundle import gather, write_bundle

    made = time.time()
    path = file or Path(time.strftime("pcloud-support-%Y%m%d-%H%M%S.tar.gz", time.localtime(made)))
    parts: dict[str, Any] = run(gather(data))
    size = write_bundle(path, parts, made=made)
    contents = parts["contents.json"]
    if as_json:
        print_json({"file": str(path), "bytes": size, "parts": contents})
        return
    console.print(f"[green]✓[/] {plain(path)}, {size / 1024:,.0f} kB; read it before you pass it on: it is text")
    for name, state in contents.items():
        if state != "here":
            console.print(f"  [yellow]![/] without {plain(name)}: {plain(state['missing'])}")
