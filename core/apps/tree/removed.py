"""Removes a tree. Nested folders are moved to the top before they are emptied, so that no depth has to be remembered."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.apps.tree.opened import open_folder

__all__ = ["remove_tree"]

AT_ONCE = 10_000
Take = Callable[[int, str], None]


def remove_tree(place: Path) -> None:
    """Remove the folder, file or link at `place`, if it exists. Raises `OSError`; part of it may be gone then, and
    another call removes the rest."""
    try:
        top = open_folder(place)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        place.unlink(missing_ok=True)
        return
    token, numbers = secrets.token_hex(8), itertools.count()

    def lift(folder: int, name: str) -> None:
        _move(folder, name, top, f".{token}-{next(numbers)}")

    try:
        _empty(top, lambda _, name: _remove_folder(top, name, lift))
    finally:
        os.close(top)
    place.rmdir()


def _remove_folder(top: int, name: str, lift: Take) -> None:
    folder = open_folder(name, top)
    try:
        _empty(folder, lift)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _empty(folder: int, take: Take) -> None:
    """`take` each folder and remove everything else, until nothing is left."""
    while names := _some(folder):
        for name, is_folder in names:
            if is_folder:
                take(folder, name)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)


def _some(folder: int) -> list[tuple[str, bool]]:
    """Names of its entries, and whether each is a folder; at most `AT_ONCE`."""
    with os.scandir(folder) as entries:
        return [(one.name, one.is_dir(follow_symlinks=False)) for one in itertools.islice(entries, AT_ONCE)]


def _move(folder: int, name: str, top: int, new: str) -> None:
    if os.geteuid() and os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.close(open_folder(name, folder))  # a folder that is closed to its owner can't be moved either
    os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
