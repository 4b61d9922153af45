"""The reference is complete: it lists what exists in the code, and its generated pages are up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from core.cli.commands import cli
from core.front.platform import audit, calls, owner, runs, undo
from core.graph.api import PlatformFields
from core.graph.schema.directive import DIRECTIVES
from core.graph.schema.field import SEARCH_KINDS
from core.node.folder import DataFolder
from core.settings import NodeSettings
from infra.generate_reference import pages
from pcloud.environment import Environment
from tests.unit.docs.pages import PAGES, ROOT

REFERENCE = ROOT / "docs" / "reference"
# Set only by code: no option of the command line sets it.
NOT_THE_USERS = {"disk_reserve"}


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_pages_match_the_code(name: str) -> None:
    assert page(name) == pages()[name], "run `python infra/generate_reference.py` and read what has changed"


def commands(node: Any, path: str = "pcloud") -> Iterator[tuple[str, Any]]:
    yield path, node
    for name, child in getattr(node, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def test_every_command_and_argument_is_described() -> None:
    silent = [
        f"{path} {parameter.name}"
        for path, node in commands(typer.main.get_command(cli))
        for parameter in node.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []
    assert [path for path, node in commands(typer.main.get_command(cli)) if not node.help] == []


def test_every_part_of_the_data_folder_is_described(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    paths = [path for path in vars(folder).values() if isinstance(path, Path)]
    places = [path.relative_to(tmp_path) for path in paths if path.is_relative_to(tmp_path)]
    parts = {place.parts[0] for place in places if place.parts}
    assert parts >= {"nats", "graph", "apps", "secrets"}
    assert [part for part in sorted(parts) if f"`{part}/" not in page("data-folder.md")] == []


def test_every_setting_of_a_node_is_described() -> None:
    told = page("data-folder.md") + page("command-line.md")
    options = {
        "host": "--listen",
        "port": "--listen",
        "traces": "OTEL_",
        "trust_clock": "--trust-clock",
        "public_url": "--public-url",
        "trusted_proxies": "--trusted-proxy",
    }
    names = [field.name for field in fields(NodeSettings) if field.name not in NOT_THE_USERS]
    assert [name for name in names if f"`{options.get(name, f'--{name}')}" not in told] == []


def test_every_directive_and_every_index_is_described() -> None:
    text = page("schema.md")
    assert [name for name in DIRECTIVES if f"@{name}" not in text] == []
    assert [f"@{name}({one}:)" for name, own in DIRECTIVES.items() for one in own if f"{one}:" not in text] == []
    indexes = {index for kind in SEARCH_KINDS.values() for index in kind}
    assert [index for index in sorted(indexes) if f"`{index}`" not in text] == []


def test_every_variable_of_an_apps_environment_is_described() -> None:
    source = (ROOT / "pcloud" / "environment.py").read_text()
    variables = set(re.findall(r'"((?:PCLOUD|NATS)_[A-Z_]+|PORT)"', source))
    assert len(variables) >= len(fields(Environment))
    assert [name for name in sorted(variables) if f"`{name}`" not in page("wire.md")] == []


def test_every_platform_field_of_the_api_is_described() -> None:
    parts = (audit, calls, owner, runs, undo)
    names = {name for part in parts for name in PlatformFields(part.SDL, ()).names} | {"search", "nodeHistory"}
    assert names >= {"runs", "replay", "callAction"}
    assert [name for name in sorted(names) if not re.search(rf"`{name}[(`]", page("graphql.md"))] == []


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    docs = ROOT / "docs"
    assert listed == {str(one.relative_to(docs)) for one in PAGES if one.is_relative_to(docs)}
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{one.relative_to(ROOT)}: {target}"
        for one in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", one.read_text())
        if not (one.parent / target).exists()
    ]
    assert broken == []
