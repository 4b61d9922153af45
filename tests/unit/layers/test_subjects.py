"""Subjects are built and taken apart in `pcloud/subject.py` alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OWNER = ROOT / "pcloud/subject.py"
FILES = [
    path
    for folder in ("pcloud", "eventstore", "projections", "core", "apps")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path != OWNER and not {"tests", "node_modules", ".venv"} & set(path.relative_to(ROOT).parts)
]
BEGINS = re.compile(r"(graph|work|runs?|call|audit)\.")
WHOLE = re.compile(r"(graph|work|runs?|call|audit)\.(\S+\.)?[>*]")
TAKE_APART = {"split", "rsplit", "partition", "rpartition", "removeprefix"}


def offences(source: str) -> Iterator[str]:
    """The lines of a module that build such a subject or take one apart."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if BEGINS.match(text):
                yield f"line {node.lineno} builds {ast.unparse(node)}"
            case ast.Constant(value=str(text)) if WHOLE.fullmatch(text):
                yield f"line {node.lineno} holds {text}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="subject") | ast.Attribute(attr="subject"), attr=attr)):
                if attr in TAKE_APART and ast.unparse(node.args[0]) in ("'.'", "'graph.'", "'run.'", "'work.'"):
                    yield f"line {node.lineno} takes apart {ast.unparse(node)}"


def test_only_its_owner_builds_a_subject() -> None:
    assert len(FILES) > 400
    found = {str(path.relative_to(ROOT)): lines for path in FILES if (lines := list(offences(path.read_text())))}
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        'f"graph.{app}.{type}.*"', 'f"work.{app}.>"', 'f"run.{check(app)}.x"', 'f"audit.{kind}"', '"graph.core.>"', '"run.>"',
        'message.subject.split(".")', 'subject.rpartition(".")[2]',
    ],
)  # fmt: skip
def test_each_form_of_it_is_found(line: str) -> None:
    assert list(offences(f"x = {line}"))


def test_other_strings_are_left_alone() -> None:
    assert not list(
        offences('a = f"graph-{n}.sqlite"; b = "graph.sqlite"; c = f"a graph.{n}"; d = subject.removeprefix("$O.X.M.")')
    )
