"""Copies of an app's data folder, taken before an upgrade and restored by a rollback.

A copy shares its blocks with the original if the file system supports that. Elsewhere it takes the same room again,
so an upgrade without enough free room is refused before anything has changed. The app must not be running, so that a
copy is one consistent state. A copy that has its final name is complete, and restoring one can be repeated after a
kill at any point.

Files that the version to come only appends to or replaces whole (`backup: append-only` in its app.yaml) get a second
name instead of a copy, and their size is recorded: a restore cuts off what was appended since. So the copy of an object
store takes no room for its photographs. But the copy keeps what the app deletes from such a file, so it is dropped when
the disk gets full.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from core.apps.tree import copy_tree, open_up, remove_tree, tree_bytes
from core.apps.tree.disk_errors import reading, removing, writing
from pcloud.errors import Unavailable

__all__ = ["Linked", "Snapshots"]

PART = ".part"
SIZES = ".sizes.json"
REPLACED = "data.replaced"
# Kept free, because a full disk would stop every app.
RESERVE = 256 * 2**20
# With less free than this, or than this share of the disk, room is worth more than going back with the data.
SHORT, SHORT_SHARE = 2 * 2**30, 16


Linked = Callable[[str], bool]


def no_file(path: str) -> bool:
    return False


class Snapshots:
    """The snapshots of one app. `data`: the app's own folder. `folder`: holds the copies, by the sha256 of the archive
    that wrote the data."""

    def __init__(self, data: Path, folder: Path):
        self._data = data
        self._folder = folder

    def exists(self, archive: str) -> bool:
        return self._place(archive).exists()

    def check_room(self, link: Linked = no_file) -> None:
        """Raises `Unavailable` if a full copy would not fit. `link`: see `take`."""
        free = shutil.disk_usage(existing(self._data)).free
        with reading("the app's data", self._data):
            needed = tree_bytes([self._data], most=free - RESERVE, leave_out=link)
        if needed + RESERVE > free:
            raise Unavailable(
                f"there is no room for a copy of the app's data, which an upgrade makes first: it takes {needed} bytes or more, "
                f"and {RESERVE} must stay free, {free} are free"
            )

    def take(self, archive: str, link: Linked = no_file, on_entry: Callable[[], None] = lambda: None) -> None:
        """Copy the data folder; replaces an earlier copy of this name. Raises `Unavailable` and then leaves no partial copy.

        `link`: the files, by their path, that the version to come only appends to or replaces whole. `on_entry` is
        called for each entry of the folder.
        """
        place = self._place(archive)
        part = place.with_name(f"{place.name}{PART}")
        try:
            with writing("a copy of the app's data", self._folder):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                for left in self._folder.glob(f"{place.name}*"):
                    remove_tree(left)
                self._drop_links_to_others(link)
                if linked := copy_tree(self._data, part, link=link, on_entry=on_entry):
                    self._sizes(place).write_bytes(msgspec.json.encode(linked))
                # All of it must be on the disk before the name marks it as complete.
                os.sync()
                part.rename(place)
        finally:
            for left in self._folder.glob(f"{part.name}*"):
                with suppress(OSError):  # the next copy replaces it
                    remove_tree(left)

    def put_back(self, archive: str) -> bool:
        """Replace the data folder, whose content is lost, by the copy.

        Returns False if there is no such copy (or it was restored before); the data folder is then unchanged. Raises
        `Unavailable`: the data folder is then as before, but what was appended to shared files since the copy may be
        gone. To be repeated until it succeeds.
        """
        place, replaced = self._place(archive), self._folder / REPLACED
        found = place.exists()
        if found:
            with writing("the app's data as it was before", self._data):
                self._swap(place, replaced)
        with suppress(OSError):  # `drop` removes it later
            remove_tree(replaced)
        return found

    def drop(self, *, keep: Iterable[str] = ()) -> None:
        """Remove all copies except those for these archives; raises `Unavailable` if one can't be removed."""
        places = [self._place(archive) for archive in keep]
        kept = {name for place in places for name in (place.name, self._sizes(place).name)}
        for entry in self._folder.glob("*"):
            if entry.name not in kept:
                with removing(entry):
                    remove_tree(entry)

    def drop_if_short(self) -> bool:
        """Drop all copies if one shares files and the disk has little room. Returns True if they were dropped; raises
        `Unavailable`. For an app that needs none to finish an upgrade."""
        if not any(self._folder.glob(f"*{SIZES}")):
            return False
        usage = shutil.disk_usage(self._folder)
        if usage.free >= max(usage.total // SHORT_SHARE, SHORT):
            return False
        self.drop()
        return True

    def _drop_links_to_others(self, link: Linked) -> None:
        """Remove earlier copies that share a file for which the version to come promises nothing."""
        for file in self._folder.glob(f"*{SIZES}"):
            if not all(link(path) for path in self._linked(file)):
                remove_tree(file.with_name(file.name.removesuffix(SIZES)))
                file.unlink()

    def _cut(self, place: Path) -> None:
        """Cut off what was appended to shared files since the copy. The app has no access to the copy's folders."""
        for path, size in self._linked(self._sizes(place)).items():
            if (place / path).stat().st_size > size:
                os.truncate(place / path, size)

    def _linked(self, sizes: Path) -> dict[str, int]:
        """The sizes of shared files by path; copies from before files were shared have none."""
        return msgspec.json.decode(sizes.read_bytes(), type=dict[str, int]) if sizes.exists() else {}

    def _sizes(self, place: Path) -> Path:
        return place.with_name(f"{place.name}{SIZES}")

    def _swap(self, place: Path, replaced: Path) -> None:
        if self._data.exists():
            remove_tree(replaced)
            open_up(self._data)
            self._data.rename(replaced)
        try:
            open_up(place)
            self._cut(place)  # last, as it also cuts the file in the data folder
            place.rename(self._data)
        except OSError:
            if replaced.exists():
                replaced.rename(self._data)
            raise

    def _place(self, archive: str) -> Path:
        return self._folder / archive[:20]


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path
