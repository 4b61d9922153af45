"""Visits every folder and entry below a folder, depth first, with one descriptor open at a time.

It returns upwards by `..`, as fts(3) does. The app may move a folder while core is in it: then `..` is another
folder, which its inode number shows, and the walk restarts at the first folder, down the path that it came, as far
as that still exists.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from core.apps.tree.opened import FOLDER, TRIES, allow, open_folder

__all__ = ["WalkStep", "is_chosen", "walk", "with_paths"]

# Folders below the first one that a path is made for: it costs more with each.
MOST_PARTS = 32


class WalkStep(NamedTuple):
    """`enter` and `leave` a folder, or an `entry` that is not a folder. `folder`: the descriptor of the current folder,
    valid until the next step; not with `leave`. `name`: of the folder ('' for the first) or entry. `status`: its
    own, no link followed."""

    kind: Literal["enter", "entry", "leave"]
    folder: int
    name: str
    status: os.stat_result


@dataclass(slots=True)
class _Level:
    """A folder that was entered and not left. `waiting`: the names of its folders that are still to be entered."""

    name: str
    status: os.stat_result
    waiting: list[str] = field(default_factory=list[str])

    def is_at(self, descriptor: int) -> bool:
        return os.path.samestat(self.status, os.fstat(descriptor))


def walk(place: Path) -> Generator[WalkStep]:
    """Walk the folder at `place` and all below it; yields nothing if there is no such folder. Entries that vanish
    meanwhile are left out. Raises `OSError` for what can't be read. Keeps in memory the names of waiting folders,
    and two numbers for each folder on the path."""
    try:
        walking = _Walking(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        yield from walking.steps()
    finally:
        walking.close()


def with_paths(steps: Iterable[WalkStep]) -> Iterator[tuple[str, WalkStep]]:
    """Each step with its path below the first folder; '' for the first folder itself and at great depth."""
    parts: list[str] = []
    for step in steps:
        if step.kind == "enter" and step.name:
            parts.append(step.name)
        here = [*parts, step.name] if step.kind == "entry" else parts
        yield "/".join(here) if len(parts) < MOST_PARTS else "", step
        if step.kind == "leave" and step.name:
            parts.pop()


def is_chosen(path: str, step: WalkStep, choose: Callable[[str], bool]) -> bool:
    """Return True for a plain file whose path is known and printable and for which `choose` is true."""
    is_file = step.kind == "entry" and stat.S_ISREG(step.status.st_mode)
    return is_file and path != "" and path.isprintable() and choose(path)


class _Walking:
    def __init__(self, place: Path) -> None:
        self._first = open_folder(place)
        self._now = os.dup(self._first)
        self._levels = [_Level("", os.fstat(self._first))]

    def close(self) -> None:
        os.close(self._first)
        os.close(self._now)

    def steps(self) -> Iterator[WalkStep]:
        yield from self._enter()
        while self._levels:
            level = self._levels[-1]
            if not level.waiting:
                yield from self._leave()
            elif self._down(level.waiting.pop()):
                yield from self._enter()

    def _enter(self) -> Iterator[WalkStep]:
        level = self._levels[-1]
        yield WalkStep("enter", self._now, level.name, level.status)
        with os.scandir(self._now) as entries:
            for entry in entries:
                if (status := self._status(entry.name)) is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    level.waiting.append(entry.name)
                else:
                    yield WalkStep("entry", self._now, entry.name, status)

    def _status(self, name: str) -> os.stat_result | None:
        """Return None if the entry has vanished."""
        for _ in range(TRIES):
            try:
                return os.stat(name, dir_fd=self._now, follow_symlinks=False)
            except FileNotFoundError:
                return None
            except PermissionError:  # the app has closed core's current folder
                allow(self._now, stat.S_IRWXU)
        raise PermissionError(f"the app closes the folder that holds {name!r} again and again")

    def _down(self, name: str) -> bool:
        """False: it has vanished, or is not a folder any more."""
        if (status := self._status(name)) is None:  # its status before it is opened for its owner
            return False
        try:
            inner = open_folder(name, self._now)
        except (FileNotFoundError, NotADirectoryError):
            return False
        level = _Level(name, status)
        if not level.is_at(inner):  # replaced in between
            level.status = os.fstat(inner)
        self._levels.append(level)
        self._become(inner)
        return True

    def _leave(self) -> Iterator[WalkStep]:
        level = self._levels.pop()
        yield WalkStep("leave", -1, level.name, level.status)
        if self._levels and not self._up():
            yield from self._return()

    def _up(self) -> bool:
        for _ in range(TRIES):
            try:
                above = os.open("..", FOLDER, dir_fd=self._now)
                break
            except PermissionError:
                allow(self._now, stat.S_IRWXU)
            except FileNotFoundError:
                return False
        else:
            return False
        if self._levels[-1].is_at(above):
            self._become(above)
            return True
        os.close(above)
        return False

    def _return(self) -> Iterator[WalkStep]:
        """Go down the same path again; folders that have vanished are left."""
        self._become(os.dup(self._first))
        for depth, level in enumerate(self._levels[1:], 1):
            try:
                inner = open_folder(level.name, self._now)
            except OSError:
                inner = -1
            if inner < 0 or not level.is_at(inner):
                if inner >= 0:
                    os.close(inner)
                lost = self._levels[depth:]
                del self._levels[depth:]
                for one in reversed(lost):
                    yield WalkStep("leave", -1, one.name, one.status)
                return
            self._become(inner)

    def _become(self, descriptor: int) -> None:
        os.close(self._now)
        self._now = descriptor
