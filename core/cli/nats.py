"""`pcloud nats …`: the nats CLI with this node's address and credentials, which never stand on a command line."""

from __future__ import annotations

import os
import shutil
import sys

import typer

from core.cli.client import open_client
from core.cli.terminal import DataOption, run
from pcloud.errors import NotFound

__all__ = ["nats"]


def nats(context: typer.Context, data: DataOption) -> None:
    """Inspect the log with the nats CLI, such as `pcloud nats stream view GRAPH`."""
    if context.args in ([], ["--help"], ["-h"]):
        print(context.get_help())
        return
    program = shutil.which("nats")
    if program is None:
        raise NotFound(
            "the nats CLI is not installed: `go install github.com/nats-io/natscli/nats@latest`, or your system's package of it"
        )

    async def work() -> dict[str, str]:
        async with open_client(data) as client:
            return await client.ask("GET", "/nats")

    environment = run(work())
    sys.stdout.flush()
    os.execve(program, [program, *context.args], {**os.environ, **environment})  # noqa: S606 - the program that was found on PATH, on purpose
