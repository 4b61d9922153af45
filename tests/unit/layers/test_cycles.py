"""No two modules of a package import each other, by whatever way round: also within functions and for types alone."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
APART = {"tests", "node_modules", "templates", ".venv"}
PACKAGES = [
    *(ROOT / name for name in ("pcloud", "eventstore", "projections", "core")),
    *(init.parent for init in sorted(ROOT.glob("apps/*/*/__init__.py")) if init.parent.name not in APART),
]


def imports_of(package: Path) -> dict[str, set[str]]:
    """The modules of a package, and which of them each imports."""
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
        if not APART & set(path.relative_to(package).parts)
    }
    return {name: imported(path.read_text(), modules.keys()) - {name} for name, path in modules.items()}


def imported(source: str, modules: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_modules_import_each_other_in_one_direction(package: Path) -> None:
    TopologicalSorter(imports_of(package)).prepare()


def test_a_cycle_would_be_found(tmp_path: Path) -> None:
    package = tmp_path / "one"
    package.mkdir()
    (package / "a.py").write_text("from one.b import B\n")
    (package / "b.py").write_text("def late():\n    from one import a\n")
    with pytest.raises(CycleError):
        TopologicalSorter(imports_of(package)).prepare()
