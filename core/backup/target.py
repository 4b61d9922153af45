"""The folder into which a restore writes: empty, or with what an interrupted restore has left there, which is removed.

A file that only a restore makes marks the folder, from before anything else is written until everything is in its place. Without
it, and beside anything that a restore does not make, nothing is removed: the folder may be anyone's.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.apps.tree import remove_tree
from core.node.backups.known import KNOWN_FILES
from core.node.folder import LOCK, DataFolder
from pcloud.errors import Rejected

__all__ = ["PARTS", "finish_target", "open_target"]

PARTS = ("nats", "apps", "secrets")


@contextmanager
def open_target(data: Path) -> Generator[DataFolder]:
    """Hold the folder as a node does, with the mark and an empty `restoring/`. Raises `Rejected` if it is in use or not empty."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder, lock = DataFolder(data), FileLock(data / LOCK, mode=0o600)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise Rejected(
            f"the folder {data} is in use by a node or another restore: name an empty one with --data"
        ) from error
    except OSError as error:
        raise Rejected(f"the folder {data} can't be used: {error.strerror}; name another one with --data") from error
    try:
        left = _left_by_restore(folder)
        data.chmod(0o700)
        _mark(folder)
        for entry in left:
            remove_tree(entry)
        folder.restoring.mkdir(mode=0o700)
        _flush(data)
        yield folder
    finally:
        lock.release()


def finish_target(folder: DataFolder) -> None:
    """Call it once everything is in its place and on the disk: from now on the folder is a cloud."""
    remove_tree(folder.restoring)
    _flush(folder.root)
    folder.restore_mark.unlink()
    _flush(folder.root)


def _left_by_restore(folder: DataFolder) -> list[Path]:
    """What an interrupted restore has left beside its mark; raises `Rejected` if anything else is there."""
    made = {folder.root / part for part in (*PARTS, *KNOWN_FILES)} | {folder.restoring, folder.restored}
    found = sorted(set(folder.root.iterdir()) - {folder.root / LOCK, folder.restore_mark})
    marked = folder.restore_mark.is_file() and not folder.restore_mark.is_symlink()
    others = [entry for entry in found if entry not in made] if marked else found
    if others:
        raise Rejected(
            f"the folder {folder.root} is not empty, it has {others[0].name}: a restore needs an empty one; name it with --data"
        )
    return found


def _mark(folder: DataFolder) -> None:
    with folder.restore_mark.open("w") as file:
        file.write('{"what": "a restore of PCloud into this folder is not complete: run it again"}\n')
        file.flush()
        os.fsync(file.fileno())
    _flush(folder.root)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
