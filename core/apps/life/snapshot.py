"""Copies of an app's data folder, taken before an upgrade and put back by a rollback.

A copy shares its blocks with the original where the file system can. Elsewhere it takes as much room again, so an upgrade
is refused before anything has changed when there is none. The app must not
be running: what is copied then is one state. A copy that has its name is complete, and putting one back can be done
again after a kill at any point.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from core.apps.tree import copy_tree, open_up, remove_tree, tree_bytes
from core.apps.tree.disk import reading, removing, writing
from pcloud.errors import Unavailable

__all__ = ["Snapshots"]

PART = ".part"
REPLACED = "data.replaced"
# What a full disk would cost everybody is kept free.
RESERVE = 256 * 2**20


class Snapshots:
    """Those of one app: `data` is its own folder, `folder` holds the copies by the sha256 of the archive that wrote it."""

    def __init__(self, data: Path, folder: Path):
        self._data = data
        self._folder = folder

    def exists(self, archive: str) -> bool:
        return self._place(archive).exists()

    def check_room(self) -> None:
        """Raises `Unavailable` where a full copy would not fit."""
        free = shutil.disk_usage(existing(self._data)).free
        with reading("the app's data", self._data):
            needed = tree_bytes([self._data], most=free - RESERVE)
        if needed + RESERVE > free:
            raise Unavailable(
                f"there is no room for a copy of the app's data, which an upgrade makes first: it takes {needed} bytes or more, "
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
                for left in self._folder.glob(f"{place.name}*"):
                    remove_tree(left)
                copy_tree(self._data, part)
                # All of it must be on the disk before the name says that it is complete.
                os.sync()
                part.rename(place)
        finally:
            for left in self._folder.glob(f"{part.name}*"):
                with suppress(OSError):  # the next one replaces it
                    remove_tree(left)

    def put_back(self, archive: str) -> bool:
        """The copy in the place of the data folder, whose content is lost. False: there is no such copy, and the data
        folder is as it was (or this was done before). Raises `Unavailable`, with the data folder as it was."""
        place, replaced = self._place(archive), self._folder / REPLACED
        found = place.exists()
        if found:
            with writing("the app's data as it was before", self._data):
                self._swap(place, replaced)
        with suppress(OSError):  # `drop` comes to it as well
            remove_tree(replaced)
        return found

    def drop(self, *, keep: Iterable[str] = ()) -> None:
        """Remove all copies but those for these archives; raises `Unavailable` for one that stays."""
        kept = {self._place(archive).name for archive in keep}
        for entry in self._folder.glob("*"):
            if entry.name not in kept:
                with removing(entry):
                    remove_tree(entry)

    def _swap(self, place: Path, replaced: Path) -> None:
        if self._data.exists():
            remove_tree(replaced)
            open_up(self._data)
            self._data.rename(replaced)
        open_up(place)
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
