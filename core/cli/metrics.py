"""`pcloud metrics`: what Prometheus would read, on the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.client import open_client
from core.cli.terminal import DataOption, run

__all__ = ["metrics"]


def metrics(
    data: DataOption,
    words: Annotated[str, typer.Argument(help="Show only the lines that have this in them.")] = "",
) -> None:
    """What the node measures of itself, in Prometheus' text form, such as `pcloud metrics lag`."""

    async def work() -> str:
        async with open_client(data) as client:
            return await client.text("GET", "/metrics")

    for line in run(work()).splitlines():
        if words in line:
            print(line)
