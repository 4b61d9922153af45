"""One process at a time has a view's file or folder."""

from __future__ import annotations

from pathlib import Path

import filelock

from pcloud.errors import Unavailable

__all__ = ["acquire"]


def acquire(path: Path) -> filelock.BaseFileLock:
    """The lock that keeps a second process out; the system frees it when the process dies. Raises `Unavailable`."""
    lock = filelock.FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise Unavailable(f"the view {path} is open already: is another node running on this data folder?") from error
    except OSError as error:
        raise Unavailable(f"the view {path} can't be locked: {error}") from error
    return lock
