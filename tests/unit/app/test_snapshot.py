"""Copies of an app's data folder: the same content in the same space, all of it or nothing."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.apps.life.data_snapshot import Snapshots
from core.apps.tree import tree_bytes
from core.apps.tree.copied import copy_content
from pcloud.errors import Unavailable

MIB = 2**20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def snapshots(data: Path, tmp_path: Path) -> Snapshots:
    return Snapshots(data, tmp_path / "snapshots")


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """For this process: writing beyond the size is an error, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_copy_takes_no_more_room_than_the_original(data: Path, snapshots: Snapshots, tmp_path: Path) -> None:
    for number in range(4):
        with (data / f"database{number}").open("wb") as file:
            file.seek(5 * MIB)
            file.write(b"x" * MIB)
            file.truncate(10 * MIB)
    (data / "empty").touch()
    (data / "hole").touch()
    os.truncate(data / "hole", MIB)
    snapshots.take("a" * 64)
    [copy] = (tmp_path / "snapshots").iterdir()
    assert tree_bytes([copy]) <= tree_bytes([data]) < 8 * MIB
    for file in data.iterdir():
        assert (copy / file.name).read_bytes() == file.read_bytes()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9000)), max_size=6))
def test_any_order_of_holes_and_content_is_copied(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bool, int]]
) -> None:
    folder = tmp_path_factory.mktemp("holes")
    with (folder / "original").open("w+b", buffering=0) as original, (folder / "copy").open("wb") as copy:
        for hole, length in parts:
            original.seek(length, os.SEEK_CUR) if hole else original.write(b"x" * length)
        original.truncate()
        copy_content(original.fileno(), copy.fileno())
    assert (folder / "copy").read_bytes() == (folder / "original").read_bytes()


def test_modes_times_and_links_are_kept_and_no_link_is_followed(
    data: Path, snapshots: Snapshots, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("core's")
    (data / "link").symlink_to(tmp_path / "secret")
    (data / "folder").mkdir(mode=0o750)
    (data / "folder" / "program").write_text("x")
    (data / "folder" / "program").chmod(0o711)
    os.utime(data / "folder" / "program", (1, 2))
    os.mkfifo(data / "pipe")
    snapshots.take("a" * 64)
    assert snapshots.put_back("a" * 64) and not snapshots.put_back("a" * 64)
    assert (data / "link").readlink() == tmp_path / "secret"
    assert stat.S_IMODE((data / "folder").stat().st_mode) == 0o750
    program = (data / "folder" / "program").stat()
    assert (stat.S_IMODE(program.st_mode), program.st_mtime) == (0o711, 2)
    assert not (data / "pipe").exists()


def test_copy_without_room_fails_with_advice_and_no_leftovers(data: Path, snapshots: Snapshots, tmp_path: Path) -> None:
    (data / "one").write_bytes(b"x")
    (data / "two").write_bytes(b"x" * MIB)
    with (
        no_file_longer_than(MIB // 2),
        pytest.raises(
            Unavailable, match=r"a copy of the app's data could not be written to .*/snapshots: File too large"
        ),
    ):
        snapshots.take("a" * 64)
    assert list((tmp_path / "snapshots").iterdir()) == [] and not snapshots.exists("a" * 64)
    snapshots.take("a" * 64)
    assert snapshots.exists("a" * 64)


def test_full_disk_error_asks_to_make_room(data: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(original: int, copy: int) -> None:
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - the kernel's own full disk
            file.write(b"x")

    (data / "one").write_bytes(b"x")
    monkeypatch.setattr("core.apps.tree.copied.FICLONE", 0)  # also if blocks could be shared
    monkeypatch.setattr("core.apps.tree.copied.copy_content", full)
    with pytest.raises(Unavailable, match="No space left on device; make room there, then do this again"):
        snapshots.take("a" * 64)


def test_failed_restore_leaves_the_data_unchanged(
    data: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "version").write_text("1")
    snapshots.take("a" * 64)
    (data / "version").write_text("2")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "a" * 20:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", failing)
        with pytest.raises(Unavailable, match="make room there"):
            snapshots.put_back("a" * 64)
    assert (data / "version").read_text() == "2"
    assert snapshots.put_back("a" * 64) and (data / "version").read_text() == "1"


def volume(path: str) -> bool:
    return path.startswith("volume")


def test_appended_files_share_their_bytes_and_return_as_they_were(data: Path, snapshots: Snapshots) -> None:
    (data / "volume1").write_bytes(b"x" * MIB)
    (data / "volume2").write_bytes(b"y" * MIB)
    (data / "index").write_bytes(b"1")
    snapshots.check_room(volume)
    snapshots.take("a" * 64, volume)
    with (data / "volume1").open("ab") as file:
        file.write(b"later")
    (data / "compacted").write_bytes(b"z")
    (data / "compacted").replace(data / "volume2")
    (data / "index").write_bytes(b"2")
    assert (data / "volume1").stat().st_nlink == 2
    assert snapshots.put_back("a" * 64)
    assert {file.name: file.read_bytes() for file in data.iterdir()} == {
        "volume1": b"x" * MIB, "volume2": b"y" * MIB, "index": b"1",
    }  # fmt: skip


@pytest.mark.parametrize(("step", "left"), [("data", b"before and later"), ("a" * 20, b"before")])
def test_shared_files_are_cut_only_in_the_last_step_of_a_restore(
    data: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, step: str, left: bytes
) -> None:
    (data / "volume1").write_bytes(b"before")
    snapshots.take("a" * 64, volume)
    with (data / "volume1").open("ab") as file:
        file.write(b" and later")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == step:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", failing)
        with pytest.raises(Unavailable, match="make room there"):
            snapshots.put_back("a" * 64)
    assert (data / "volume1").read_bytes() == left
    assert snapshots.put_back("a" * 64) and (data / "volume1").read_bytes() == b"before"


def test_room_is_needed_only_for_files_that_are_copied(
    data: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "volume1").write_bytes(b"x" * MIB)
    free = MIB // 2
    monkeypatch.setattr("core.apps.life.data_snapshot.RESERVE", 0)
    monkeypatch.setattr("core.apps.life.data_snapshot.shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    snapshots.check_room(volume)
    with pytest.raises(Unavailable, match="no room"):
        snapshots.check_room()


def test_a_copy_that_keeps_deleted_bytes_is_dropped_when_the_disk_gets_full(
    data: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "volume1").write_bytes(b"x")
    free = 3 * 2**30

    def usage(_: Path) -> object:
        return type("Usage", (), {"free": free, "total": 32 * 2**30})

    monkeypatch.setattr("core.apps.life.data_snapshot.shutil.disk_usage", usage)
    assert not snapshots.drop_if_short()
    snapshots.take("a" * 64, volume)
    assert not snapshots.drop_if_short() and snapshots.exists("a" * 64)
    free = 2 * 2**30 - 1
    assert snapshots.drop_if_short() and (data / "volume1").stat().st_nlink == 1
    snapshots.take("b" * 64)
    assert not snapshots.drop_if_short() and snapshots.exists("b" * 64), "it shares nothing"


def test_copy_is_dropped_before_a_version_that_may_change_its_files(
    data: Path, snapshots: Snapshots, tmp_path: Path
) -> None:
    (data / "volume1").write_bytes(b"x")
    snapshots.take("a" * 64, volume)
    snapshots.take("b" * 64, volume)
    assert snapshots.exists("a" * 64)
    snapshots.take("c" * 64)
    assert not snapshots.exists("a" * 64) and not snapshots.exists("b" * 64) and snapshots.exists("c" * 64)
    snapshots.drop(keep=["c" * 64])
    assert [one.name for one in (tmp_path / "snapshots").iterdir()] == ["c" * 20]


def test_copy_that_is_stopped_leaves_nothing(data: Path, snapshots: Snapshots, tmp_path: Path) -> None:
    seen: list[int] = []
    for number in range(9):
        (data / f"volume{number}").write_bytes(b"x")

    def one_more() -> None:
        seen.append(1)
        if len(seen) == 5:
            raise Unavailable("stopped")

    with pytest.raises(Unavailable, match="stopped"):
        snapshots.take("a" * 64, volume, one_more)
    assert not list((tmp_path / "snapshots").iterdir())
    snapshots.take("a" * 64, volume)
    assert snapshots.put_back("a" * 64) and len(list(data.iterdir())) == 9
