"""How the command line talks to a person: one console for words (standard error), plain printing for facts (standard output)."""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from core.settings import default_data_folder

__all__ = ["AsJson", "DataOption", "console", "print_json", "print_table", "run", "say_error"]

console = Console(stderr=True, highlight=False)

DataOption = Annotated[Path, typer.Option("--data", envvar="PCLOUD_DATA_FOLDER", help="The node's data folder.", default_factory=default_data_folder)]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    import uvloop

    return uvloop.run(work)


def say_error(message: str) -> None:
    console.print(f"[bold red]error:[/] {message.replace('[', chr(92) + '[')}", soft_wrap=True)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2 if sys.stdout.isatty() else None, default=str, ensure_ascii=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table on standard output, or `empty` on standard error where there is nothing to show."""
    rows = list(rows)
    if not rows:
        console.print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(highlight=False).print(table)
