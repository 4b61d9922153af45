"""Turns the disk's errors on reading, writing and removing (full, forbidden, broken) into errors for the caller."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["reading", "removing", "writing"]

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(what: str, folder: Path) -> Generator[None]:
    """Turn an `OSError` within into `Unavailable`. `what`: what is written below `folder`, such as "a copy of its data"."""
    try:
        yield
    except OSError as error:
        remedy = "make room there" if error.errno in FULL else "check that disk"
        raise Unavailable(
            f"{what} could not be written to {folder}: {error.strerror or error}; {remedy}, then do this again"
        ) from error


@contextmanager
def reading(what: str, folder: Path) -> Generator[None]:
    """Turn an `OSError` within into `Unavailable`. `what`: what is read in `folder`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what} at {folder} can't be read: {error.strerror or error}; check that disk") from error


@contextmanager
def removing(place: Path) -> Generator[None]:
    """Turn an `OSError` within into `Unavailable`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{place} could not be removed: {error.strerror or error}; check that disk, then do this again"
        ) from error
