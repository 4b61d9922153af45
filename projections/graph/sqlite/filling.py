"""Fills a new file with a long log: without waiting for the disk, and with the readers' indexes postponed to the end.

If the process is killed, the file stays whole: the system has what was written. Only a crash of the machine may damage
it, so a file that was being filled when the machine last started is begun again. It answers no queries meanwhile.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pcloud.errors import Corrupt
from projections.graph.sqlite.connection import errors_told
from projections.graph.sqlite.layout import Layout

__all__ = ["Filling"]

PAGES = 8_000  # in the write-ahead log before they go to the file: an index's page is written once for many batches
CACHE_MB = 16  # also what sorting for one index may take in memory
_MARK = "filling"


class Filling:
    """`under_way`: some of the indexes are postponed. The connection is the writer's, in autocommit mode."""

    def __init__(self, path: Path, connection: sqlite3.Connection, cache_mb: int, marked: str | None) -> None:
        """`marked`: the file's mark, None if it is not being filled. Raises `Corrupt`."""
        if marked is not None and (not marked or marked != _boot()):
            raise Corrupt(f"the view {path} was being built when the machine went down: it is built again from the log")
        self._path, self._connection, self._cache_mb = path, connection, cache_mb
        self.under_way = marked is not None

    def begin(self) -> None:
        with errors_told(self._path):
            if not self.under_way:
                self._connection.execute("INSERT INTO view VALUES (?, ?)", (_MARK, _boot()))
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
            self._connection.execute(f"PRAGMA cache_size = {-CACHE_MB * 1024}")
        self.under_way = True

    def end(self, layout: Layout) -> None:
        """Make the indexes one after the other, and write everything to the disk before the file is marked as whole."""
        if not self.under_way:
            return
        with errors_told(self._path):
            for table in layout.tables.values():
                for statement in table.indexes.values():
                    self._connection.execute(statement)
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("DELETE FROM view WHERE name = ?", (_MARK,))
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("PRAGMA wal_autocheckpoint = 1000")
            self._connection.execute(f"PRAGMA cache_size = {-self._cache_mb * 1024}")
        self.under_way = False


def _boot() -> str:
    """The id of the machine's current boot; '' if the system does not report it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
