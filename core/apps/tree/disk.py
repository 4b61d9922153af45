"""What the disk says when something is read, written or removed: no room, no right, broken. Told to whoever asked for it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["reading", "removing", "writing"]

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """An `OSError` within becomes `Unavailable`. `what`: that is being written below `folder`, as in "a copy of its data"."""
    try:
        yield
    except OSError as error:
        remedy = "make room there" if error.errno in FULL else "look at that disk"
        raise Unavailable(
            f"{what} could not be written to {folder}: {error.strerror or error}; {remedy}, then do this again"
        ) from error


@contextmanager
def reading(what: str, folder: Path) -> Iterator[None]:
    """An `OSError` within becomes `Unavailable`. `what`: that is being looked at in `folder`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{what} at {folder} can't be looked at: {error.strerror or error}; look at that disk"
        ) from error


@contextmanager
def removing(place: Path) -> Iterator[None]:
    """An `OSError` within becomes `Unavailable`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{place} could not be removed: {error.strerror or error}; look at that disk, then do this again"
        ) from error
