"""`pcloud metrics`: the node's metrics, as Prometheus reads them, on the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.client import open_client
from core.cli.terminal import DataOption, run

__all__ = ["metrics"]


def metrics(
    data: DataOption,
    words: Annotated[str, typer.Argument(help="Show only lines that contain this.")] = "",
) -> None:
    """Print the node's metrics, in Prometheus' text form. To filter: `pcloud metrics lag`."""

    async def work() -> str:
        async with open_client(data) as client:
            return await client.text("GET", "/metrics")

    for line in run(work()).splitlines():
        if words in line:
            print(line)
