"""`pcloud app new`: it writes a valid app under the given name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.apps import packed
from core.cli.new import compile_lock, write_app
from core.graph.schema import parse_schema
from pcloud.errors import Conflict
from projections.graph.catalog import Catalog

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "core" / "cli" / "templates" / "app"


def test_a_new_app_is_an_archive_that_is_taken(tmp_path: Path) -> None:
    made = write_app("ink-blots", tmp_path / "ink")
    archive = packed(tmp_path / "ink")
    assert archive.manifest.name == "ink-blots" and archive.lock
    assert archive.manifest.triggers[0].on.type == "ink-blots/Note"
    assert parse_schema("ink-blots", archive.schema_text, others=Catalog()).types
    assert {"app.py", "app.yaml", "schema.graphql", "tests/test_app.py"} <= set(made)
    assert not any(
        "word-counter" in (tmp_path / "ink" / path).read_text() for path in made if not path.endswith(".whl")
    )
    assert "addInkBlots_Note" in (tmp_path / "ink" / "tests" / "test_app.py").read_text()


def test_archive_of_a_new_app_has_only_its_program(tmp_path: Path) -> None:
    write_app("ink-blots", tmp_path / "ink")
    assert set(packed(tmp_path / "ink").files) == {
        "app.py", "app.yaml", "schema.graphql", "pyproject.toml", "requirements.lock",
    }  # fmt: skip


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(Conflict, match="--to"):
        write_app("ink-blots", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_tutorial_shows_the_app_that_is_made() -> None:
    page = (ROOT / "docs" / "tutorial" / "first-app.md").read_text()
    for name, language in (("app.yaml", "yaml"), ("schema.graphql", "graphql"), ("app.py", "python")):
        found = re.search(rf"`{name}`.*?^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        assert found and found[1] == (TEMPLATE / name).read_text(), f"the page shows another {name}"


def test_the_how_to_shows_the_test_that_is_made() -> None:
    page = (ROOT / "docs" / "how-to" / "test-an-app.md").read_text()
    assert f"```python\n{(TEMPLATE / 'tests' / 'test_app.py').read_text()}```" in page


def test_a_new_app_is_less_than_thirty_lines() -> None:
    texts = [(TEMPLATE / name).read_text() for name in ("app.yaml", "schema.graphql", "app.py")]
    assert sum(bool(line.strip()) for text in texts for line in text.splitlines()) < 30


def test_lock_leaves_out_packages_of_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_app("ink-blots", tmp_path / "ink")
    # The versions that are already in the cache, so that the test does not depend on new releases.
    monkeypatch.setenv("UV_CONSTRAINT", str(TEMPLATE / "requirements.lock"))
    target = tmp_path / "ink" / "requirements.lock"
    target.unlink()
    compile_lock(tmp_path / "ink" / "pyproject.toml", target)
    names = {line.partition("==")[0] for line in target.read_text().splitlines() if line[:1].isalnum()}
    assert "aiohttp" in names and not {"nkeys", "pcloud-sdk"} & names
