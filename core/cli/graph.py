"""`pcloud graph …`: query, schema, history, verify, rebuild."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlencode

import typer

from core.cli.actors import who
from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, facts, plain, print_json, run
from pcloud.errors import Corrupt, Rejected
from pcloud.subject import Ref

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="The knowledge graph: query, schema, history, verify, rebuild.")
AsApp = Annotated[str, typer.Option("--app", help="Through this app, with its view and its rights.")]
HISTORY = "query($type: String!, $id: ID!) { nodeHistory(type: $type, id: $id) { revision time kind actor through cause tx change } }"


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
        raise Rejected(f"--variables is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise Rejected('--variables is not a JSON object: write something such as {"id": "0190…"}')

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.graphql(
                sys.stdin.read() if text == "-" else text, cast("dict[str, Any]", values), app=app
            )

    print_json(run(work()))


@commands.command()
def schema(data: DataOption, app: AsApp = "", as_json: AsJson = False) -> None:
    """Print the schema that the owner (or an app) sees; with `--json` as an introspection result."""
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
    entity: Annotated[
        str, typer.Argument(metavar="APP/TYPE/ID", help="The entity, such as image-importer/Image/0190….")
    ],
    data: DataOption,
    as_json: AsJson = False,
) -> None:
    """Print an entity's history, newest first: when, who, why, what changed, and the transaction for `pcloud undo`."""
    from core.graph.schema.names import owner_type  # slow to import, and only this command needs it

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
        what = f"{entry['kind']} by {plain(who(entry))}"
        why = f", because of {plain(entry['cause'])}" if entry["cause"] else ""
        facts.print(
            f"[bold]{plain(entry['time'])}[/] {what}{why}  [dim]{plain(entry['revision'])}, undo {plain(entry['tx'])}[/]"
        )
        print(json.dumps(entry["change"], ensure_ascii=False))


@commands.command()
def verify(data: DataOption, as_json: AsJson = False) -> None:
    """Fold the log again and compare with the graph that answers queries: equal, or exit code 7 and the first difference."""
    result = run(followed(data, "/graph/verify", "folding the log …"))
    if as_json:
        print_json(result)
    if not result["equal"]:
        found = result["difference"]
        place = f"{found['entity']} {found['field']}".strip()
        view = result["view"]
        mend = (
            "`pcloud graph rebuild` rebuilds it" if view == "graph" else "stop the node, delete `directory/`, start it"
        )
        raise Corrupt(
            f"the {view} differs from the log at revision {result['revision']}: {place} is {json.dumps(found['graph'])} in the {view}, "
            f"and {json.dumps(found['log'])} by the log; {mend}"
        )
    if not as_json:
        facts.print(
            f"[green]✓[/] equal: {result['events']:,} events folded again give the same graph ({result['revision']})"
        )


@commands.command()
def rebuild(
    data: DataOption,
    to: Annotated[
        str, typer.Option("--to", help="The store to build it in: sqlite or neo4j. By default the present one.")
    ] = "",
    view: Annotated[str, typer.Option("--view", help="The view: graph or search.")] = "graph",
    back: Annotated[bool, typer.Option("--back", help="Go back to the version before the last rebuild.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a view again from the log, beside the one that answers, and switch over."""
    if back and to:
        raise Rejected("--back goes to the previous version, in its own store: leave out --to")
    query = urlencode({"view": view, "to": to, "back": str(back).lower()})
    done = run(followed(data, f"/graph/rebuild?{query}", "building …"))
    if as_json:
        print_json(done)
        return
    rate = done["events"] / max(done["seconds"], 1e-3)
    which = "" if view == "graph" else f" --view {view}"
    kept = f"; `pcloud graph rebuild{which} --back` returns to {done['previous']}" if done["previous"] else ""
    facts.print(
        f"[green]✓[/] the {view} is on {done['version']} now: {done['events']:,} events in {done['seconds']:,.1f} s, "
        f"{rate:,.0f} a second{kept}"
    )


async def followed(data: Path, path: str, first: str) -> Any:
    """Return the result of a long request, and show its steps meanwhile."""
    result = None
    async with open_client(data) as client:
        with console.status(first) as status:
            async for record in client.lines("POST", path):
                result = record.get("result", result)
                if "step" in record:
                    status.update(f"{record['step']} {record['detail']}")
    return result
