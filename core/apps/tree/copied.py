"""Copies a tree without taking more room than the original: blocks are shared if the file system can (btrfs, xfs),
holes in a file stay holes, and a file with several names stays one file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from core.apps.tree.opened import FOLDER, open_file
from core.apps.tree.removed import remove_tree
from core.apps.tree.walk import WalkStep, is_chosen, walk, with_paths

__all__ = ["copy_content", "copy_tree", "matching"]

FICLONE = 0x40049409  # ioctl_ficlone(2)
CANNOT = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def copy_tree(
    source: Path,
    target: Path,
    *,
    link: Callable[[str], bool] = lambda path: False,
    on_entry: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Copy folders, plain files and symbolic links, with modes, times, extended attributes and (as root) owners; pipes
    and sockets are left out.

    Neither `target` nor `target`.names may exist, and only core may write there; `source` must not change meanwhile.
    A missing `source` makes an empty folder. Plain files for whose path below `source` `link` is true get a second name
    instead of a copy (`is_chosen`): the result has their sizes by path. `on_entry` is called for each file and folder.
    Raises `OSError` and leaves what it has made.
    """
    target.mkdir(mode=0o700)
    names = target.with_name(f"{target.name}.names")
    names.mkdir(mode=0o700)
    copying, linked = _Copying(target, names), dict[str, int]()
    try:
        for path, step in with_paths(walk(source)):
            on_entry()
            if is_chosen(path, step, link):
                linked[path] = copying.link(step)
            else:
                copying.take(step)
    finally:
        copying.close()
    remove_tree(names)
    return linked


def matching(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Tell whether one of the patterns matches a path."""
    return lambda path: any(fnmatchcase(path, pattern) for pattern in patterns)


class _Copying:
    """`names`: a folder with one extra name, its number, for each file that has several, so that none has to be kept in memory."""

    def __init__(self, target: Path, names: Path) -> None:
        self._now = os.open(target, FOLDER)
        self._names = os.open(names, FOLDER)

    def close(self) -> None:
        os.close(self._now)
        os.close(self._names)

    def take(self, step: WalkStep) -> None:
        if step.kind == "enter":
            self._enter(step)
        elif step.kind == "leave":
            self._leave(step)
        elif stat.S_ISLNK(step.status.st_mode):
            os.symlink(os.readlink(step.name, dir_fd=step.folder), step.name, dir_fd=self._now)
            _keep_link(step, self._now)
        elif stat.S_ISREG(step.status.st_mode):
            self._file(step)

    def link(self, step: WalkStep) -> int:
        """Give the file a second name; return its size."""
        os.link(step.name, step.name, src_dir_fd=step.folder, dst_dir_fd=self._now, follow_symlinks=False)
        return step.status.st_size

    def _enter(self, step: WalkStep) -> None:
        if step.name:
            os.mkdir(step.name, 0o700, dir_fd=self._now)
            self._become(os.open(step.name, FOLDER, dir_fd=self._now))
        _keep_attributes(step.folder, self._now)

    def _leave(self, step: WalkStep) -> None:
        above = os.open("..", FOLDER, dir_fd=self._now) if step.name else os.dup(self._now)
        # Last: adding entries would change its times, and it may be closed to its owner.
        _keep(step.status, self._now)
        self._become(above)

    def _file(self, step: WalkStep) -> None:
        if step.status.st_nlink == 1:
            return _copy_file(step, self._now)
        number = f"{step.status.st_dev}-{step.status.st_ino}"
        try:
            os.link(number, step.name, src_dir_fd=self._names, dst_dir_fd=self._now)
            return None
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            os.unlink(number, dir_fd=self._names)
        _copy_file(step, self._now)
        os.link(step.name, number, src_dir_fd=self._now, dst_dir_fd=self._names)
        return None

    def _become(self, descriptor: int) -> None:
        os.close(self._now)
        self._now = descriptor


def _copy_file(step: WalkStep, folder: int) -> None:
    original = open_file(step.name, step.folder)
    try:
        copy = os.open(step.name, NEW, 0o600, dir_fd=folder)
        try:
            _fill(original, copy)
            _keep_attributes(original, copy)
            _keep(step.status, copy)
        finally:
            os.close(copy)
    finally:
        os.close(original)


def _fill(original: int, copy: int) -> None:
    try:
        fcntl.ioctl(copy, FICLONE, original)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        copy_content(original, copy)


def copy_content(original: int, copy: int) -> None:
    """Copy the written ranges and keep the holes, so that the copy takes no more room than the original."""
    for start, end in written(original):
        os.lseek(copy, start, os.SEEK_SET)
        while start < end and (count := os.sendfile(copy, original, start, end - start)):
            start += count
    os.ftruncate(copy, os.fstat(original).st_size)


def written(file: int) -> Iterator[tuple[int, int]]:
    """The ranges of the file that are not holes, as (start, end); the whole file if the file system does not report holes (lseek(2))."""
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


def _keep(status: os.stat_result, copy: int) -> None:
    """Keep owner, mode and times. The owner first: a change of owner clears mode bits."""
    if os.geteuid() == 0:
        os.chown(copy, status.st_uid, status.st_gid)
    os.chmod(copy, stat.S_IMODE(status.st_mode))
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def _keep_link(step: WalkStep, folder: int) -> None:
    status = step.status
    if os.geteuid() == 0:
        os.chown(step.name, status.st_uid, status.st_gid, dir_fd=folder, follow_symlinks=False)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(step.name, ns=times, dir_fd=folder, follow_symlinks=False)


def _keep_attributes(original: int, copy: int) -> None:
    """Keep the attributes that this file system and this user can set."""
    with suppress(OSError):
        for name in os.listxattr(original):
            with suppress(OSError):
                os.setxattr(copy, name, os.getxattr(original, name))
