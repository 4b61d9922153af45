"""What PCloud uses of a library beyond its public API is in one file for each library, `<library>_private.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENDING = "_private.py"
FILES = [
    path
    for folder in ("pcloud", "eventstore", "projections", "core", "apps")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if not {"tests", "node_modules", ".venv"} & set(path.relative_to(ROOT).parts)
]
# Public in spite of the underscore: methods of named tuples, and the end of a process.
PUBLIC = {"_asdict", "_exit", "_fields", "_make", "_replace"}


def own_names(files: list[Path]) -> set[str]:
    """The names with an underscore that PCloud's own code defines."""
    found: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
                case ast.Constant(value=str(name)) if name.startswith("_"):  # in `__slots__`
                    found.add(name)
    return found


def offences(source: str, own: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=name) if name.startswith("_") and not name.endswith("__"):
                if name not in own | PUBLIC:
                    yield f"line {node.lineno} uses {ast.unparse(node)}"
            case ast.Import() | ast.ImportFrom():
                module = getattr(node, "module", "") or ""
                names = [*module.split("."), *(part for one in node.names for part in one.name.split("."))]
                if any(name.startswith("_") and not name.endswith("__") for name in names):
                    yield f"line {node.lineno} imports {ast.unparse(node)}"
            case ast.Compare(ops=[ast.In() | ast.NotIn() | ast.Eq()], comparators=[ast.Call(func=ast.Name(id="str"))]):
                yield f"line {node.lineno} reads a text: {ast.unparse(node)}"
    if "reportPrivate" in source:
        yield "it switches the check for private names off"


def test_private_parts_of_libraries_are_used_in_their_own_file() -> None:
    others = [path for path in FILES if not path.name.endswith(ENDING)]
    own = own_names(others)
    found = {str(path.relative_to(ROOT)): list(offences(path.read_text(), own)) for path in others}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_each_library_has_one_such_file() -> None:
    names = [path.name for path in FILES if path.name.endswith(ENDING)]
    assert len(names) == len(set(names)) > 5


@pytest.mark.parametrize(
    "source",
    ["client._pongs.clear()", "from nats.aio._parser import x", "from nats import _x", "'no such' in str(error)"],
)
def test_a_private_part_is_found(source: str) -> None:
    assert list(offences(source, set()))
