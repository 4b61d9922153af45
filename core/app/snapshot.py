"""Copies of an app's data folder, taken before an upgrade and put back by a rollback.

A copy shares its blocks with the original where the file system can (btrfs, xfs). Elsewhere it takes as much room again
(no hole in a file is filled), so an upgrade is refused before anything has changed when there is none. The app must not
be running: what is copied then is one state. A copy that has its name is complete, and putting one back can be done
again after a kill at any point.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.app.disk import writing
from pcloud.errors import Unavailable

__all__ = ["Snapshots"]

FICLONE = 0x40049409  # ioctl_ficlone(2)
PART = ".part"
REPLACED = "data.replaced"
# What a full disk would cost everybody is kept free.
RESERVE = 256 * 2**20
CANNOT = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)


class Snapshots:
    """Those of one app: `data` is its own folder, `folder` holds the copies by the sha256 of the archive that wrote it."""

    def __init__(self, data: Path, folder: Path):
        self._data = data
        self._folder = folder

    def exists(self, archive: str) -> bool:
        return self._place(archive).exists()

    def check_room(self) -> None:
        """Raises `Unavailable` where a full copy would not fit."""
        needed, free = folder_bytes(self._data), shutil.disk_usage(existing(self._data)).free
        if needed + RESERVE > free:
            raise Unavailable(
                f"there is no room for a copy of the app's data, which an upgrade makes first: it takes {needed} bytes "
                f"and {RESERVE} must stay free, {free} are free"
            )

    def take(self, archive: str) -> None:
        """Copy the data folder; one that was taken before under this name is replaced. Raises `Unavailable`, and leaves
        nothing of it then."""
        place = self._place(archive)
        part = place.with_name(f"{place.name}{PART}")
        try:
            with writing("a copy of the app's data", self._folder):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                for left in (part, place):
                    shutil.rmtree(left, ignore_errors=True)
                if self._data.exists():
                    copy_tree(self._data, part)
                else:
                    part.mkdir(mode=0o700)
                # All of it must be on the disk before the name says that it is complete.
                os.sync()
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def put_back(self, archive: str) -> bool:
        """The copy in the place of the data folder, whose content is lost. False: there is no such copy, and the data
        folder is as it was (or this was done before). Raises `Unavailable`, with the data folder as it was."""
        place, replaced = self._place(archive), self._folder / REPLACED
        found = place.exists()
        if found:
            with writing("the app's data as it was before", self._data):
                self._swap(place, replaced)
        shutil.rmtree(replaced, ignore_errors=True)
        return found

    def drop(self, *, keep: Iterable[str] = ()) -> None:
        """Remove all copies but those for these archives."""
        kept = {self._place(archive).name for archive in keep}
        for entry in self._folder.glob("*"):
            if entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    def _swap(self, place: Path, replaced: Path) -> None:
        if self._data.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            self._data.rename(replaced)
        try:
            place.rename(self._data)
        except OSError:
            if replaced.exists():
                replaced.rename(self._data)
            raise

    def _place(self, archive: str) -> Path:
        return self._folder / archive[:20]


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path


def folder_bytes(folder: Path) -> int:
    """What the folder takes on the disk; what can't be looked at does not count."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total


def copy_tree(source: Path, target: Path) -> None:
    """Folders, plain files and symbolic links, with modes, times and (as root) owners; pipes and sockets are left out.
    No link is followed: the content is an app's."""
    status = source.lstat()
    target.mkdir(mode=0o700)
    for entry in os.scandir(source):
        there = target / entry.name
        if entry.is_symlink():
            there.symlink_to(Path(entry.path).readlink())
            own(there, entry.stat(follow_symlinks=False))
        elif entry.is_dir(follow_symlinks=False):
            copy_tree(Path(entry.path), there)
        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            copy_file(Path(entry.path), there)
            own(there, entry.stat(follow_symlinks=False))
            shutil.copystat(entry.path, there, follow_symlinks=False)
    own(target, status)
    shutil.copystat(source, target, follow_symlinks=False)


def copy_file(source: Path, target: Path) -> None:
    original = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.ioctl(copy, FICLONE, original)
        except OSError as error:
            if error.errno not in CANNOT:
                raise
            copy_content(original, copy)
        finally:
            os.close(copy)
    finally:
        os.close(original)


def copy_content(original: int, copy: int) -> None:
    """What was written and no hole, so that the copy takes no more room than the original."""
    for start, end in written(original):
        os.lseek(copy, start, os.SEEK_SET)
        while start < end and (count := os.sendfile(copy, original, start, end - start)):
            start += count
    os.ftruncate(copy, os.fstat(original).st_size)


def written(file: int) -> Iterator[tuple[int, int]]:
    """Where the file is no hole, as (start, end); all of it where the file system does not tell (lseek(2))."""
    end, size = 0, os.fstat(file).st_size
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole to the end
                return
            raise
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


def own(path: Path, status: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
