"""Every block of code that a person may copy from a page is valid: it runs, loads, or is parsed by its tool."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sybil import Example

from tests.unit.docs.pages import LANGUAGES, PAGES, ROOT, blocks, check_command, pcloud_spans

EXAMPLES = [(page.relative_to(ROOT), example) for page in PAGES for example in blocks(page)]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader of the tutorials has it: the bundled apps and the app made there."""
    (tmp_path / "apps").symlink_to(ROOT / "apps")
    for folder in ("word-counter", "camera-count", "FOLDER"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", [pytest.param(one, id=f"{page}:{one.line}") for page, one in EXAMPLES])
def test_a_block_of_code_works(example: Example, checkout: Path) -> None:
    example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_names_a_language_that_is_checked(page: Path) -> None:
    opened = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)[::2]
    assert set(opened) <= set(LANGUAGES)
    assert len(opened) == len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_within_a_sentence_exists(page: Path, checkout: Path) -> None:
    for words in pcloud_spans(page.read_text()):
        if page.name != "command-line.md":
            check_command(words, mention=True)


def test_a_command_that_does_not_exist_is_found() -> None:
    for wrong in (["pcloud", "app", "instal", "x"], ["just", "tset"], ["curl", "x"]):
        with pytest.raises(AssertionError):
            check_command(wrong)
    with pytest.raises(Exception, match="No such option"):
        check_command(["pcloud", "runs", "--status", "FAILED"])
