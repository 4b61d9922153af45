"""Two owners never have one file, and an owner keeps the file that it had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.export.ledger import Ledger
from pcloud.errors import Corrupt, Rejected

Open = Callable[..., Ledger]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    ledgers: list[Ledger] = []

    def run(cloud: str = "cloud") -> Ledger:
        if ledgers:
            ledgers[-1].commit()
            ledgers[-1].close()
        ledgers.append(Ledger(tmp_path / "state.sqlite", cloud))
        return ledgers[-1]

    yield run
    ledgers[-1].close()


def test_same_name_in_another_case_gets_a_mark(opened: Open) -> None:
    ledger = opened()
    paths = [
        ledger.place(owner, wanted).path for owner, wanted in (("1", "o/b/Cat"), ("2", "o/b/cat"), ("3", "o/b/CAT"))
    ]
    assert paths[0] == "o/b/Cat" and len({path.casefold() for path in paths}) == 3


@pytest.mark.parametrize(
    "wanted", [("o/b/a", "o/b/a/x"), ("o/b/a/x", "o/b/a"), ("o/b/A", "o/b/a/c/x"), ("o/b/a/c/x", "o/b/A")]
)
def test_file_and_folder_of_one_name_are_kept_apart(opened: Open, tmp_path: Path, wanted: tuple[str, str]) -> None:
    ledger = opened()
    for owner, one in zip("12", wanted, strict=True):
        path = tmp_path / "folder" / ledger.place(owner, one).path.casefold()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(owner)


def test_file_beside_a_photograph_is_not_taken(opened: Open) -> None:
    ledger = opened()
    assert ledger.place("1", "p/y/cat.jpg.xmp", beside=[".xmp"]).path == "p/y/cat.jpg.xmp"
    assert ledger.place("2", "p/y/cat.jpg", beside=[".xmp"]).path != "p/y/cat.jpg"


def test_owner_keeps_its_file_over_runs_and_what_is_left_is_found(opened: Open) -> None:
    ledger = opened()
    for owner in "12":
        ledger.written(owner, "ab", 1) if ledger.place(owner, "o/b/cat") else None
    marked = ledger.place("2", "o/b/cat").path
    ledger = opened()
    assert ledger.place("2", "o/b/cat") == (marked, "ab", 1)
    assert ledger.left() == ["o/b/cat"] and [file.path for file in ledger.files()] == [marked]


def test_owner_that_wants_another_name_leaves_its_old_file(opened: Open) -> None:
    opened().place("1", "o/b/cat")
    ledger = opened()
    assert ledger.place("1", "o/b/dog") == ("o/b/dog", "", 0)
    assert ledger.left() == ["o/b/cat"]


def test_two_exports_into_one_folder_and_another_cloud_are_refused(opened: Open, tmp_path: Path) -> None:
    ledger = opened()
    with pytest.raises(Rejected, match="another export writes"):
        Ledger(tmp_path / "state.sqlite", "cloud")
    ledger.commit()
    ledger.close()
    with pytest.raises(Rejected, match="another cloud"):
        Ledger(tmp_path / "state.sqlite", "other")


def test_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(Corrupt, match="empty folder"):
        Ledger(tmp_path / "state.sqlite", "cloud")
