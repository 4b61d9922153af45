"""Write the reference pages that follow from the code: command line, manifest, events, errors.

Run it after changing one of these; a test fails if a page differs from this program's output.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def main() -> None:
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


def pages() -> dict[str, str]:
    """The text of each generated page, by file name."""
    return {
        "command-line.md": "\n".join(command_line()) + "\n",
        "manifest.md": "\n".join(manifest()) + "\n",
        "events.md": "\n".join(events()) + "\n",
        "errors.md": "\n".join(errors()) + "\n",
        "manifest.schema.json": (ROOT / "pcloud" / "manifest.schema.json").read_text(),
    }


def command_line() -> Iterator[str]:
    from core.cli import EXIT_CODES
    from core.cli.commands import cli

    yield "# Command line\n"
    yield "Results go to standard output, messages to standard error. `--data` names the node's folder; `PCLOUD_DATA_FOLDER` too.\n"
    root = typer.main.get_command(cli)
    yield from command("pcloud", root)
    yield "\n## Exit codes\n"
    yield "| code | when |\n|---|---|\n| 0 | done |\n| 1 | unexpected |"
    also = {"REJECTED": "; also an invalid command line, and an answer of no by the owner"}
    yield from (
        f"| {code} | `{name}`, see [errors](errors.md){also.get(name, '')} |" for name, code in EXIT_CODES.items()
    )
    yield "| 130 | interrupted |"


def command(path: str, node: Any) -> Iterator[str]:
    subcommands = getattr(node, "commands", {})
    if path != "pcloud":
        yield f"\n## `{path}`\n"
        yield (node.help or "").strip().split("\n\n")[0].replace("\n", " ") + "\n"
    parameters = [
        one for one in node.params if one.name not in ("help", "data", "install_completion", "show_completion")
    ]
    if parameters and (not subcommands or getattr(node, "invoke_without_command", False)):
        yield "| argument | what it is |\n|---|---|"
        yield from (
            f"| {spelled(one)} | {(getattr(one, 'help', None) or '').replace('|', '/')} |" for one in parameters
        )
    for name, sub in subcommands.items():
        yield from command(f"{path} {name}", sub)


def spelled(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])


def manifest() -> Iterator[str]:
    from pcloud.manifest_schema import manifest_json_schema

    yield "# Manifest\n"
    yield "`app.yaml` at the root of an app's archive. An unknown key is refused, with its line and the nearest known one."
    yield "Editors can use [the JSON Schema](manifest.schema.json): `# yaml-language-server: $schema=manifest.schema.json`.\n"
    schema = manifest_json_schema()
    definitions = schema["$defs"]
    yield from table("app.yaml", definitions.pop("Manifest"))
    for name, definition in definitions.items():
        if "properties" in definition:
            yield from table(name, definition)


def table(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n## {name}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    yield "| key | type | default | what it is |\n|---|---|---|---|"
    required = set(schema.get("required", ()))
    for key, value in schema["properties"].items():
        default = "**required**" if key in required else f"`{value['default']!r}`" if "default" in value else ""
        yield f"| `{key}` | {type_of(value)} | {default} | {value.get('description', '')} |"


def type_of(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    if "anyOf" in value:
        return " or ".join(type_of(one) for one in value["anyOf"])
    if value.get("type") == "array":
        return f"list of {type_of(value.get('items', {}))}"
    return str(value.get("type", "any"))


def events() -> Iterator[str]:
    from eventstore import wire
    from pcloud import event, upcast

    yield "# Events\n"
    yield "Every change of the graph is a message of the JetStream stream `GRAPH`. One subject is one entity.\n"
    yield "```text\n" + inspect.cleandoc(wire.__doc__ or "").partition("\n\n")[2] + "\n```\n"
    yield "The body is JSON of version " + f"{upcast.CURRENT_VERSION}; fields that are empty are left out.\n"
    yield "| field | type |\n|---|---|"
    yield "| `v` | version of the body |"
    meanings = {
        "set": "value of each scalar field, by its stored name",
        "unset": "fields whose value is removed",
        "link": "ids by relation field; on a to-one relation they replace what was there",
        "unlink": "ids that are removed from a relation field",
        "purged": "on a `forgotten` event: what it replaces (below)",
    }
    yield from (f"| `{name}` | {meanings[name]} |" for name in event.Change.__struct_fields__)
    yield "\nA field that another app added is named `<app>/<field>`. The kinds:\n"
    kinds = {
        "created": "the entity is new, or was created again after it was deleted",
        "updated": "some of its fields or links changed",
        "deleted": "it is gone from the views; its history stays",
        "forgotten": "it is gone from the log too, except for this event",
    }
    yield "| kind | what happened |\n|---|---|"
    yield from (f"| `{kind.value}` | {kinds[kind.value]} |" for kind in event.Kind)
    purged = {
        "events": "sequence and digest of each event that was purged from the log",
        "transactions": "of the transactions that they were part of: id, hash of the request, last sequence and its time",
        "released": "by one-to-one field, the targets that the entity's links took from others and that no entity has taken since",
        "written": "by app, sequence and bytes of the events that counted against its quota",
    }
    yield "\nA `forgotten` event names the events that it replaces, so that a log without them folds to the same result:\n"
    yield "| field of `purged` | what it holds |\n|---|---|"
    yield from (f"| `{name}` | {purged[name]} |" for name in event.Purged.__struct_fields__)


def errors() -> Iterator[str]:
    from core.cli import EXIT_CODES
    from pcloud import errors as module

    yield "# Errors\n"
    yield "GraphQL returns the code in `extensions.code`, HTTP as the status, the command line as the exit code.\n"
    yield "| code | HTTP | exit code | when |\n|---|---|---|---|"
    meanings = {
        "REJECTED": "the request itself is wrong: malformed, unknown, beyond a limit",
        "NOT_FOUND": "the named thing does not exist, or not for this caller",
        "CONFLICT": "the state has changed meanwhile, or the same key came with another request",
        "FORBIDDEN": "the caller has not been granted this",
        "UNAVAILABLE": "a part that is needed is unavailable now; a retry may help",
        "CORRUPT": "stored data contradicts itself; a person has to look",
    }
    for kind in module.PCloudError.__subclasses__():
        yield f"| `{kind.code}` | {kind.http_status} | {EXIT_CODES[kind.code]} | {meanings[kind.code]} |"
    yield "| `INTERNAL` | 500 | 1 | PCloud's own fault: its log has the details |"
    yield (
        "\nWithout credentials, HTTP answers 401 and the code `UNAUTHENTICATED`.\n"
        "A wrong token gets the same answer, which slows down after a few wrong ones; a right token never waits."
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
