"""What the disk says when something is written to it: no room, no right, broken. Told to whoever asked for the writing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["writing"]

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
