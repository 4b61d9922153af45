"""Opens an app's folders and files: never through a link, and also if the app has closed them to its own user."""

from __future__ import annotations

import os
import stat

__all__ = ["FOLDER", "allow", "open_file", "open_folder", "open_up"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Do not wait on a file that was replaced by a pipe.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ITSELF = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Bounds the attempts against an app that closes a folder again and again.
TRIES = 100


def open_folder(name: str | os.PathLike[str], dir_fd: int | None = None) -> int:
    """Open a folder so that it can be listed, entered and changed. Raises `OSError`: `NotADirectoryError` for anything else."""
    folder = _open(name, FOLDER, stat.S_IRWXU, dir_fd)
    try:
        allow(folder, stat.S_IRWXU)
    except BaseException:
        os.close(folder)
        raise
    return folder


def open_file(name: str, dir_fd: int) -> int:
    """Open a file for reading; raises `OSError`. The caller has to check that it is a plain file."""
    return _open(name, FILE, stat.S_IRUSR, dir_fd)


def allow(descriptor: int, rights: int) -> None:
    """Give the owner these rights; does nothing as root, who passes every mode."""
    mode = os.fstat(descriptor).st_mode
    if os.geteuid() and mode & rights != rights:
        # The descriptor may be opened with O_PATH, for which fchmod(2) does not work.
        os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IMODE(mode) | rights)  # noqa: PTH101


def open_up(place: os.PathLike[str]) -> None:
    """Give a folder's owner access to it: a folder that is closed to its owner can't be moved either. Raises `OSError`."""
    os.close(open_folder(place))


def _open(name: str | os.PathLike[str], flags: int, rights: int, dir_fd: int | None) -> int:
    for _ in range(TRIES):
        try:
            return os.open(name, flags, dir_fd=dir_fd)
        except PermissionError:
            _unlock(name, rights, dir_fd)
    return os.open(name, flags, dir_fd=dir_fd)


def _unlock(name: str | os.PathLike[str], rights: int, dir_fd: int | None) -> None:
    place = os.open(name, ITSELF, dir_fd=dir_fd)
    try:
        kind = os.fstat(place).st_mode
        if not os.geteuid() or not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
            raise PermissionError(f"{os.fsdecode(name)!r} can't be opened")
        allow(place, rights)
    finally:
        os.close(place)
