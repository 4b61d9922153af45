"""Trees as apps may make them: every shape is counted, copied and removed, and no walk leaves the folder."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.apps.sandbox.user import give
from core.apps.tree import copy_tree, matching, remove_tree, tree_bytes, walk
from core.apps.tree.walk import WalkStep

MIB = 2**20
NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: name not in (b".", b"..") and not {0, 47} & {*name})
TREES = st.recursive(
    st.sampled_from(["file", "fifo", "link"]) | st.binary(max_size=9000),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def plant(place: bytes, tree: object) -> None:
    if isinstance(tree, dict):
        os.mkdir(place)
        for name, inner in tree.items():
            plant(os.path.join(place, name), inner)
    elif isinstance(tree, bytes):
        with open(place, "wb") as file:
            file.write(tree)
    elif tree == "fifo":
        os.mkfifo(place)
    elif tree == "link":
        os.symlink(b"/etc/passwd", place)
    else:
        os.close(os.open(place, os.O_CREAT))


def dig(place: Path, levels: int, name: str = "n") -> None:
    place.mkdir(exist_ok=True)
    now = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=now)
        inner = os.open(name, os.O_RDONLY, dir_fd=now)
        os.close(now)
        now = inner
    with open(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=now), "wb") as file:
        file.write(b"x" * MIB)
    os.close(now)


def seen(place: Path) -> dict[str, tuple[int, int]]:
    """Return mode and size by path, for everything that is kept."""
    found, at = {}, []
    for step in walk(place):
        if step.kind == "leave":
            at.pop()
        elif step.kind == "enter":
            at.append(step.name)
            found["/".join(at)] = (step.status.st_mode, 0)
        elif not stat.S_ISFIFO(step.status.st_mode):
            found["/".join([*at, step.name])] = (step.status.st_mode, step.status.st_size)
    return found


@settings(max_examples=60)
@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_every_tree_is_walked_copied_and_removed_whole(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[bytes, object]
) -> None:
    root = tmp_path_factory.mktemp("trees")
    plant(os.fsencode(root / "one"), tree)
    expected = sum(len(folders) + len(files) for _, folders, files in os.walk(root / "one"))
    assert (
        sum(step.kind == "entry" or bool(step.name) for step in walk(root / "one") if step.kind != "leave") == expected
    )
    copy_tree(root / "one", root / "two")
    assert seen(root / "one") == seen(root / "two")
    for name in ("one", "two"):
        remove_tree(root / name)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(("levels", "letters"), [(3000, 1), (20, 250)])
def test_no_depth_is_too_much_and_few_descriptors_suffice(tmp_path: Path, levels: int, letters: int) -> None:
    dig(tmp_path / "deep", levels, "n" * letters)
    most = 0
    for _ in walk(tmp_path / "deep"):
        most = max(most, len(os.listdir("/proc/self/fd")))
    assert most - len(os.listdir("/proc/self/fd")) <= 4
    assert tree_bytes([tmp_path / "deep"]) >= MIB + levels * 4096
    copy_tree(tmp_path / "deep", tmp_path / "copy")
    assert tree_bytes([tmp_path / "copy"]) == tree_bytes([tmp_path / "deep"])
    give(tmp_path / "copy", os.getuid())
    for name in ("deep", "copy"):
        remove_tree(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_counting_ends_once_it_is_too_much(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert tree_bytes([tmp_path]) == 51 * 4096
    assert tree_bytes([tmp_path], most=10 * 4096) == 11 * 4096
    assert tree_bytes([tmp_path / "missing"]) == 0


def test_a_file_with_several_names_is_counted_and_copied_once(tmp_path: Path) -> None:
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "one").write_bytes(b"x" * MIB)
    for number in range(50):
        os.link(tmp_path / "data" / "one", tmp_path / "data" / "sub" / str(number))
    assert tree_bytes([tmp_path / "data"]) < 2 * MIB
    copy_tree(tmp_path / "data", tmp_path / "copy")
    assert (tmp_path / "copy" / "one").samefile(tmp_path / "copy" / "sub" / "49")
    assert (tmp_path / "copy" / "one").stat().st_nlink == 51
    assert sorted(os.listdir(tmp_path)) == ["copy", "data"]


def test_attributes_sockets_and_holes_stop_no_copy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "data" / "socket"))
    (tmp_path / "data" / "hole").touch()
    os.truncate(tmp_path / "data" / "hole", 2**40)
    os.setxattr(tmp_path / "data" / "hole", "user.note", b"kept")
    copy_tree(tmp_path / "data", tmp_path / "copy")
    assert os.listdir(tmp_path / "copy") == ["hole"]
    assert (tmp_path / "copy" / "hole").stat().st_size == 2**40
    assert os.getxattr(tmp_path / "copy" / "hole", "user.note") == b"kept"
    assert tree_bytes([tmp_path / "copy"]) < MIB


def walking_while(place: Path, change: Iterator[None]) -> list[WalkStep]:
    """Return the steps, with one change after each."""
    steps = []
    for step in walk(place):
        steps.append(step)
        next(change, None)
    return steps


def test_folder_moved_during_a_walk_does_not_lead_outside(tmp_path: Path) -> None:
    """At its new place, `..` is a folder outside."""
    (tmp_path / "data" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "data" / "z").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()

    def change() -> Iterator[None]:
        while True:
            inside = [name for name in ("a/b/c", "a/b") if (tmp_path / "data" / name).exists()]
            if len(os.listdir(tmp_path / "outside")) == 1 and "c" in reached:
                (tmp_path / "data" / inside[-1]).rename(tmp_path / "outside" / "b")
            yield

    reached: list[str] = []
    steps, changes = [], change()
    for step in walk(tmp_path / "data"):
        steps.append((step.kind, step.name))
        reached.append(step.name)
        next(changes)
    assert ("entry", "secret") not in steps
    assert ("enter", "z") in steps
    assert sum(kind == "enter" for kind, _ in steps) == sum(kind == "leave" for kind, _ in steps)


def test_a_folder_that_becomes_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()

    def change() -> Iterator[None]:
        (tmp_path / "data" / "a").rmdir()
        (tmp_path / "data" / "a").symlink_to(tmp_path / "outside")
        yield

    (tmp_path / "data" / "b").touch()  # a change between listing and entering
    assert "secret" not in {step.name for step in walking_while(tmp_path / "data", change())}
    remove_tree(tmp_path / "data")
    assert (tmp_path / "outside" / "secret").exists()


def test_removing_a_link_or_a_file_takes_that_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "file").touch()
    for name in ("link", "file", "missing"):
        remove_tree(tmp_path / name)
    assert os.listdir(tmp_path) == ["outside"]


def test_linked_files_keep_their_bytes_and_are_no_copies(tmp_path: Path) -> None:
    """Only plain files are linked, at any depth that has a path, whatever links the app has beside them."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    (original / "volumes" / "deep").mkdir(parents=True)
    for name in ("volumes/1.dat", "volumes/deep/2.dat", "volumes/1.idx"):
        (original / name).write_bytes(b"before")
    (original / "volumes" / "3.dat").symlink_to("/etc/passwd")
    linked = copy_tree(original, copy, link=lambda path: path.startswith("volumes/") and path.endswith(".dat"))
    assert linked == {"volumes/1.dat": 6, "volumes/deep/2.dat": 6}
    assert tree_bytes([original], leave_out=lambda path: path in linked) < tree_bytes([original])
    for path in linked:
        assert (copy / path).samefile(original / path)
    assert not (copy / "volumes/1.idx").samefile(original / "volumes/1.idx")
    assert (copy / "volumes/3.dat").is_symlink()
    remove_tree(copy)
    assert (original / "volumes/1.dat").read_bytes() == b"before"


def test_files_too_deep_for_a_path_or_with_odd_names_are_copied_and_counted(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    deep = original.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    for file in (deep / "one", deep / "two", original / "a\nb"):
        file.write_bytes(b"x" * 9000)
    assert copy_tree(original, copy, link=matching(["*"])) == {}
    assert not (copy / "a\nb").samefile(original / "a\nb")
    assert tree_bytes([original], leave_out=matching(["*"])) == tree_bytes([original])
