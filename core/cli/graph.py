"""`pcloud graph …`: query, schema, history, verify."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, facts, plain, print_json, run
from pcloud.errors import Corrupt, Rejected
from pcloud.subject import Ref

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="The knowledge graph: query, schema, history, verify.")
AsApp = Annotated[str, typer.Option("--app", help="Through this app's eyes instead of the owner's.")]
HISTORY = (
    "query($type: String!, $id: ID!) { nodeHistory(type: $type, id: $id) { revision time kind actor cause tx change } }"
)


@commands.command()
def query(
    text: Annotated[str, typer.Argument(help="The GraphQL operation, or '-' to read it from standard input.")],
    data: DataOption,
    variables: Annotated[str, typer.Option("--variables", help="A JSON object.")] = "{}",
    app: AsApp = "",
) -> None:
    """Run a GraphQL operation and print its data as JSON."""
    try:
        values = json.loads(variables)
    except ValueError as error:
        raise Rejected(f"--variables is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise Rejected('--variables is no JSON object: write something such as {"id": "0190…"}')

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.graphql(sys.stdin.read() if text == "-" else text, values, app=app)

    print_json(run(work()))


@commands.command()
def schema(data: DataOption, app: AsApp = "", as_json: AsJson = False) -> None:
    """Print the schema that the owner (or an app) sees; with `--json` as introspection tells it."""
    from graphql import build_client_schema, get_introspection_query, print_schema

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.graphql(get_introspection_query(), app=app)

    found = run(work())
    if as_json:
        print_json(found)
    else:
        print(print_schema(build_client_schema(found)))


@commands.command()
def history(
    entity: Annotated[str, typer.Argument(metavar="APP/TYPE/ID", help="Such as image-importer/Image/0190….")],
    data: DataOption,
    as_json: AsJson = False,
) -> None:
    """An entity's life: when, who, what changed."""
    from core.schema.names import owner_type  # heavy, and needed by no other command of this file

    ref = Ref.parse(entity)

    async def work() -> Any:
        async with open_client(data) as client:
            return (await client.graphql(HISTORY, {"type": owner_type(str(ref.type_name)), "id": ref.id}))[
                "nodeHistory"
            ]

    entries = run(work())
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        who = f"{entry['kind']} by {plain(entry['actor'])}"
        facts.print(f"[bold]{plain(entry['time'])}[/] {who}  [dim]{plain(entry['revision'])}[/]")
        print(json.dumps(entry["change"], ensure_ascii=False))


@commands.command()
def verify(data: DataOption, as_json: AsJson = False) -> None:
    """Fold the log anew and compare with the graph that answers queries: equal, or exit code 7."""

    async def work() -> Any:
        async with open_client(data) as client:
            with console.status("folding the log …") as status:
                result = None
                async for record in client.lines("POST", "/graph/verify"):
                    result = record.get("result", result)
                    if "step" in record:
                        status.update(f"{record['step']} {record['detail']}")
                return result

    result = run(work())
    if as_json:
        print_json(result)
    if not result["equal"]:
        raise Corrupt(f"the graph differs from the log at revision {result['revision']}: stop the node, move its graph/ folder away "
                      "and start it; the graph is folded anew")  # fmt: skip
    if not as_json:
        facts.print(
            f"[green]✓[/] equal: {result['events']:,} events folded anew give the same graph ({result['revision']})"
        )
