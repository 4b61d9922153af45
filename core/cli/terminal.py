"""How the command line talks to people: one console for messages (standard error), plain printing for facts (standard output).

Texts from apps pass through `plain`, so that they can't colour, move or hide what the owner reads before a decision.
"""

from __future__ import annotations

import getpass
import json
import re
import signal
import sys
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from core.settings import default_data_folder
from core.shipped.places import default_files_folder
from pcloud.errors import Rejected

__all__ = [
    "AsJson",
    "DataOption",
    "FilesOption",
    "ask_secret",
    "confirm",
    "console",
    "facts",
    "plain",
    "print_json",
    "print_table",
    "run",
    "say_error",
]

console = Console(stderr=True, highlight=False)
facts = Console(highlight=False, soft_wrap=True)

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="PCLOUD_DATA_FOLDER",
        help="The node's data folder.",
        default_factory=default_data_folder,
        show_default="pcloud in the user's data folder",
    ),
]
FilesOption = Annotated[
    Path,
    typer.Option(
        "--files",
        envvar="PCLOUD_FILES",
        help="The folder of files that are fetched on first use: weights, sample photographs.",
        default_factory=default_files_folder,
        show_default="pcloud in the user's cache folder",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]

# Delete and the C1 codes; of these, U+009B begins a terminal command.
CODES = re.compile(r"[\x7f-\x9f]")

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    import uvloop

    return uvloop.run(work)


def plain(text: object) -> str:
    """Return `text` on one line, without control characters, so that rich prints it literally."""
    words = " ".join(str("" if text is None else text).split())
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in words))


def say_error(message: str) -> None:
    """Print an error. Its message may hold text of an app, such as its last output."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in message)
    console.print(f"[bold red]error:[/] {escape(shown)}", soft_wrap=True)


def confirm(question: str, *, otherwise: str, default: bool = False) -> bool:
    """Ask on the terminal. Without a terminal to answer, raises `Rejected` that names what to do `otherwise`."""
    # A running event loop would hold Ctrl-C back until the question is answered.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(question, default=default, err=True)
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        console.print()
        raise Rejected(f"the question {question.strip()!r} was not answered: {otherwise}") from error
    finally:
        signal.signal(signal.SIGINT, before)


def ask_secret(what: str, *, otherwise: str) -> str:
    """Read a secret without showing it: from the terminal, or the first line of standard input. Raises `Rejected`."""
    secret = getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not secret.strip():
        raise Rejected(f"nothing was typed for {what[0].lower() + what[1:]}: {otherwise}")
    return secret.strip()


def print_json(value: Any) -> None:
    """Print JSON to a terminal without the control codes that JSON allows; parsers read the same value."""
    seen = sys.stdout.isatty()
    encoder = json.JSONEncoder(indent=2 if seen else None, default=str, ensure_ascii=False)
    for text in encoder.iterencode(value):
        sys.stdout.write(CODES.sub(lambda code: f"\\u{ord(code[0]):04x}", text) if seen else text)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str, notes: Sequence[str] | None = None
) -> None:
    """Print a table on standard output, with a note indented below each row that has one, or `empty` on standard error."""
    cells = [[plain(value) for value in row] for row in rows]
    if not cells:
        console.print(empty)
        return
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    facts.print(f"[bold]{line(columns, widths)}[/]")
    for number, row in enumerate(cells):
        facts.print(line(row, widths))
        if notes and notes[number]:
            facts.print(f"    [dim]{plain(notes[number])}[/]")


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip()
