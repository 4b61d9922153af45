"""A file of an export is whole or absent, and an error of the disk says what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.export.target import ExportFolder
from pcloud.errors import Unavailable


def failing(error: OSError) -> Iterator[bytes]:
    yield b"half of "
    raise error


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EIO, "still connected")]
)
def test_failing_disk_leaves_the_old_file_and_says_what_to_do(tmp_path: Path, number: int, said: str) -> None:
    target = ExportFolder(tmp_path)
    target.write("a/cat", [b"old"])
    with pytest.raises(Unavailable, match=said):
        target.write("a/cat", failing(OSError(number, os.strerror(number))))
    assert (tmp_path / "a" / "cat").read_bytes() == b"old"
    target.write("a/cat", [b"new"])
    assert (tmp_path / "a" / "cat").read_bytes() == b"new"


def test_network_error_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), ExportFolder(tmp_path).told():
        raise ConnectionResetError


def test_removing_a_file_removes_the_folders_that_are_empty_then(tmp_path: Path) -> None:
    target = ExportFolder(tmp_path)
    target.write("a/b/c/cat", [b"1"])
    target.write("a/dog", [b"1"])
    target.remove("a/b/c/cat")
    target.remove("gone/already")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["dog"]
