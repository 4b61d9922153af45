"""What folders take on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from core.apps.tree.walk import walk

__all__ = ["tree_bytes"]

BLOCK = 512
# What an entry counts at least: an empty file still takes one of the disk's places for files, of which there are not many.
ENTRY = 4096


def tree_bytes(folders: Iterable[Path], most: float = float("inf")) -> int:
    """Bytes, at least `ENTRY` for each folder and entry; a file with several names counts once. Counting ends once it is more than
    `most`, which also bounds what is remembered meanwhile. Raises `OSError` for what can't be looked at."""
    total, several = 0, set[tuple[int, int]]()
    for folder in folders:
        with closing(walk(folder)) as steps:
            for step in steps:
                if step.kind == "leave":
                    continue
                if step.kind == "entry" and step.status.st_nlink > 1:
                    if (file := (step.status.st_dev, step.status.st_ino)) in several:
                        continue
                    several.add(file)
                total += max(step.status.st_blocks * BLOCK, ENTRY)
                if total > most:
                    return total
    return total
