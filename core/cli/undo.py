"""`pcloud undo`: undoes a transaction."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, facts, plain, print_json, run

__all__ = ["undo"]

UNDO = "mutation($tx: String!) { undo(tx: $tx) }"


def undo(
    tx: Annotated[str, typer.Argument(metavar="TX", help="The transaction, as `pcloud graph history` names it.")],
    data: DataOption,
    as_json: AsJson = False,
) -> None:
    """Append the inverse of a transaction; refused, with the reasons, if later changes depend on it."""

    async def work() -> Any:
        async with open_client(data) as client:
            return (await client.graphql(UNDO, {"tx": tx}))["undo"]

    done = run(work())
    if as_json:
        print_json(done)
        return
    if done["repeated"]:
        facts.print(f"nothing to do: it is already undone  [dim]{plain(done['revision'])}[/]")
        return
    facts.print(
        f"[green]✓[/] undone: {done['entities']:,} entities are as they were before  [dim]{plain(done['revision'])}[/]"
    )
    for one in done["leftOut"]:
        facts.print(f"  [yellow]left out[/] the link {plain(one)}: its other end is gone, or taken")
