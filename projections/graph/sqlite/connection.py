"""Opens the store's file: one process at a time, WAL, bounded caches, and SQLite's errors as PCloud's."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pcloud.errors import Corrupt, PCloudError, Rejected, Unavailable
from projections.graph.sqlite.sqlite_private import is_another_layout, is_beyond_a_bound
from projections.graph.values import compile_pattern, terms

__all__ = ["Deadline", "empty_journal", "errors_told", "open_connection", "told"]

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
LONG_MS, SHORT_MS = 10_000, 100  # to wait for another connection
_STEPS = 4000  # steps of SQLite's virtual machine between two looks at the clock: some tenths of a millisecond


def open_connection(path: Path | str, *, cache_mb: int, write: bool) -> sqlite3.Connection:
    """A connection in autocommit mode that any one thread at a time may use. Changes survive a crash of the process;
    what a power failure removes from the end (synchronous NORMAL) is folded again from the log. A str path is read as
    an SQLite URI."""
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=LONG_MS / 1000,
        uri=isinstance(path, str),
    )
    try:
        with errors_told(Path(path)):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = {-cache_mb * 1024}")
            connection.execute(f"PRAGMA journal_size_limit = {16 * 2**20}")
            connection.execute("PRAGMA secure_delete = ON")  # deleted data leaves the file's pages, not only the tables
            if not write:
                connection.execute("PRAGMA query_only = ON")
        connection.create_function("matches", 2, _matches, deterministic=True)
        connection.create_function("has_words", 3, _has_words, deterministic=True)
        connection.create_function("has_item", 4, _has_item, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def empty_journal(path: Path, connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log's content into the file and empty it; False while it is being read."""
    with errors_told(path):
        connection.execute(f"PRAGMA busy_timeout = {SHORT_MS}")
        try:
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {LONG_MS}")
    return not busy


class Deadline:
    """Interrupts a connection's statements after some seconds; `passed` is True if it did."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._end, self.passed = 0.0, False
        connection.set_progress_handler(self._look, _STEPS)

    def start(self, seconds: float) -> None:
        self._end, self.passed = time.monotonic() + seconds, False

    def stop(self) -> None:
        self._end = 0.0

    def _look(self) -> int:
        if self._end and time.monotonic() > self._end:
            self.passed = True
            return 1
        return 0


@contextmanager
def errors_told(path: Path, *, folding: bool = False) -> Generator[None]:
    """`folding`: called by the writer, for which every table must exist (a reader may meet a layout that has just
    changed)."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(path, error, folding) from error


def told(path: Path, error: sqlite3.Error, folding: bool) -> PCloudError:
    """PCloud's error for one of SQLite's; `folding` as for `errors_told`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BROKEN:
        return Corrupt(
            f"the view {path} is damaged ({error}): stop the node and delete the file, it is built again from the log"
        )
    if code == sqlite3.SQLITE_FULL:
        return Unavailable(f"the disk of {path} is full: free some space and start again, nothing is lost")
    if code == sqlite3.SQLITE_TOOBIG or is_beyond_a_bound(error):
        return Rejected(f"the query is beyond a bound of the graph store: {error}")
    if isinstance(error, sqlite3.OperationalError) and not (folding and is_another_layout(error)):
        return Unavailable(f"the view {path} can't be used now: {error}")
    return Corrupt(
        f"the view {path} and this program disagree: {error}; delete the file, it is built again from the log"
    )


def _matches(text: Any, regexp: str) -> int:
    return int(isinstance(text, str) and compile_pattern(regexp).search(text) is not None)


def _has_words(text: Any, words: str, every: int) -> int:
    found = terms(text) if isinstance(text, str) else set[str]()
    wanted = set(words.split(" ")) if words else set[str]()
    return int(bool(wanted) and (wanted <= found if every else bool(wanted & found)))


_ITEM_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "in": lambda item, operand: item in operand,
    "between": lambda item, operand: operand[0] <= item <= operand[1],
    "ge": lambda item, operand: item >= operand,
    "gt": lambda item, operand: item > operand,
    "le": lambda item, operand: item <= operand,
    "lt": lambda item, operand: item < operand,
}


def _has_item(items: Any, operator: str, operand: str, every: int) -> int:
    """Return True if any member of a list (as JSON) passes; for words, `every` requires one member that has all."""
    if items is None:
        return 0
    members = msgspec.json.decode(items)
    if operator == "regexp":
        return int(any(_matches(item, msgspec.json.decode(operand)) for item in members))
    if operator == "words":
        return int(any(_has_words(item, operand, every) for item in members))
    test, value = _ITEM_TESTS[operator], msgspec.json.decode(operand)
    return int(any(test(item, value) for item in members))
