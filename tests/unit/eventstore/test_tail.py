"""Following a log file: each line once, even if the file is renamed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.server.tail import Tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "some.log"
    path.write_text("one\n")
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Tail]:
    reader = Tail(path, most=1000)
    reader.open()
    yield reader
    reader.close()


def say(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(text)


def rotate(path: Path) -> None:
    path.replace(path.with_name("some.log.1"))


def test_the_last_lines_before_a_rotation_are_not_lost(path: Path, reader: Tail) -> None:
    assert reader.lines() == []
    say(path, "two\n")
    rotate(path)
    say(path, "three\n")
    assert reader.lines() == ["two", "three"]
    assert reader.lines() == []


def test_between_two_files_the_old_one_may_still_be_written(path: Path, reader: Tail) -> None:
    with path.open("a") as old:
        rotate(path)
        assert reader.lines() == []
        old.write("two\nhal")
    assert reader.lines() == ["two"]
    say(path.with_name("some.log.1"), "f\n")
    say(path, "three\n")
    assert reader.lines() == ["half", "three"]


def test_line_cut_by_a_full_disk_is_not_joined_to_the_next(path: Path, reader: Tail) -> None:
    say(path, "two\ncu")
    assert reader.lines() == ["two"]
    rotate(path)
    say(path, "three\n")
    assert reader.lines() == ["cu", "three"]


def test_file_that_appears_later_is_read_from_its_start(tmp_path: Path) -> None:
    reader = Tail(tmp_path / "later.log", most=1000)
    reader.open()
    assert reader.lines() == []
    say(tmp_path / "later.log", "one\n")
    assert reader.lines() == ["one"]
    reader.close()


def test_tail_can_begin_at_a_line_before_the_end(path: Path) -> None:
    for back, found in ((0, []), (3, []), (4, ["two"]), (7, ["two"]), (8, ["one", "two"]), (99, ["one", "two"])):
        path.write_text("one\ntwo\n")
        reader = Tail(path, most=1000)
        reader.open(back)
        assert reader.lines() == found, back
        reader.close()


def test_long_tail_continues_next_time_even_after_rotation(path: Path) -> None:
    reader = Tail(path, most=10)
    reader.open()
    said = [f"line {number}" for number in range(20)]
    say(path, "\n".join(said) + "\n")
    rotate(path)
    say(path, "new\n")
    found = [line for _ in range(40) for line in reader.lines()]
    assert found == [*said, "new"]
    reader.close()


def test_flood_is_read_in_whole_lines_from_its_newest_part(path: Path) -> None:
    reader = Tail(path, most=100, newest=True)
    reader.open()
    say(path, "half")
    assert reader.lines() == []
    say(path, "".join(f"line {number:02}\n" for number in range(90)))
    assert reader.lines() == [f"line {number:02}" for number in range(78, 90)]
    assert reader.lines() == []
    reader.close()


@given(st.lists(st.one_of(st.text("ab\n", max_size=30), st.sampled_from(["rotate", "look"])), max_size=30))
def test_each_line_is_read_once_for_any_changes_between_polls(
    tmp_path_factory: pytest.TempPathFactory, happening: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "some.log"
    path.touch()
    reader, found, written, rotated = Tail(path, most=1000), list[str](), "", False
    reader.open()
    for happens in happening:
        if happens == "rotate":
            if not rotated and written.endswith("\n"):  # two rotations between two polls are too many
                rotate(path)
                path.touch()
                rotated = True
        elif happens == "look":
            found += reader.lines()
            rotated = False
        else:
            say(path, happens)
            written += happens
    found += reader.lines()
    assert found == written.split("\n")[:-1]
    reader.close()
