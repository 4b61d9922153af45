"""The size of folders on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from core.apps.tree.walk import is_chosen, walk, with_paths

__all__ = ["tree_bytes"]

BLOCK = 512
# The least that an entry counts: an empty file still takes an inode, and a disk has a limited number.
ENTRY = 4096


def tree_bytes(
    folders: Iterable[Path], most: float = float("inf"), *, leave_out: Callable[[str], bool] = lambda path: False
) -> int:
    """Return bytes, at least `ENTRY` for each folder and entry; a file with several names counts once. Counting ends
    once it exceeds `most`, which also bounds the memory used. Files for whose path below their folder
    `leave_out` is true do not count: those that `copy_tree` links for it. Raises `OSError` for an entry that can't be read."""
    total, several = 0, set[tuple[int, int]]()
    for folder in folders:
        with closing(walk(folder)) as steps:
            for path, step in with_paths(steps):
                if step.kind == "leave" or is_chosen(path, step, leave_out):
                    continue
                if step.kind == "entry" and step.status.st_nlink > 1:
                    if (file := (step.status.st_dev, step.status.st_ino)) in several:
                        continue
                    several.add(file)
                total += max(step.status.st_blocks * BLOCK, ENTRY)
                if total > most:
                    return total
    return total
