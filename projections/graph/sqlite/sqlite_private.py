"""What PCloud reads in SQLite's error messages: all of it is here, and a test says what an update has changed.

SQLite gives one code, `SQLITE_ERROR`, to errors that mean different things here; only the text tells them apart.
"""

from __future__ import annotations

import sqlite3

__all__ = ["is_another_layout", "is_beyond_a_bound"]

_BEYOND = ("integer overflow", "too large", "too many", "parser stack overflow")
_GONE = ("no such", "has no column", "already exists")


def is_beyond_a_bound(error: sqlite3.Error) -> bool:
    """True if the statement or its result is larger than SQLite's limits."""
    return any(words in str(error) for words in _BEYOND)


def is_another_layout(error: sqlite3.Error) -> bool:
    """True if the file's tables or columns are not those that the statement names."""
    return any(words in str(error) for words in _GONE)
