"""Which files an export's folder has, in a small database beside them: an interrupted export goes on, a later one fetches what is new.

A file belongs to an owner (a photograph, its sidecar, an object, a type) and keeps its name as long as its owner wants the same. At the end
of a run, the files whose owners were not met in it are removed, and only those.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from core.export.names import collision_key, marked
from core.export.photograph import Person, Photograph
from pcloud.errors import Corrupt, Rejected

__all__ = ["FetchedObject", "File", "Ledger"]

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
  owner TEXT PRIMARY KEY, wanted TEXT NOT NULL, path TEXT NOT NULL, collision TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL DEFAULT '',
  size INTEGER NOT NULL DEFAULT 0, run INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
  bucket TEXT, key TEXT, etag TEXT NOT NULL, size INTEGER NOT NULL, modified TEXT NOT NULL, type TEXT NOT NULL, owner TEXT NOT NULL,
  run INTEGER NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS photographs (id TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (place TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (image TEXT NOT NULL, facts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS people_of_image ON people (image);
CREATE TABLE IF NOT EXISTS missing (place TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
"""


class File(NamedTuple):
    """`path`: below the folder. `sha256`: '' until it is written."""

    path: str
    sha256: str
    size: int


class FetchedObject(NamedTuple):
    """An object as it was fetched. `owner`: of the file with its bytes."""

    etag: str
    size: int
    modified: str
    type: str
    owner: str


class Ledger:
    """Blocks, for moments: the database is small and read by key."""

    def __init__(self, path: Path, cloud: str) -> None:
        """Begin a run. Raises `Rejected` if another export writes here or the folder is another cloud's, `Corrupt` if it can't be read."""
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._begin(path, cloud)
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise Rejected(f"another export writes into {path.parent}: wait for its end ({error})") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise Corrupt(f"{path} is damaged ({error}): delete it, and export into an empty folder") from error
        except BaseException:
            self._connection.close()
            raise

    def _begin(self, path: Path, cloud: str) -> None:
        for statement in _TABLES.split(";\n"):
            self._connection.execute(statement)
        self._connection.execute("CREATE TABLE IF NOT EXISTS header (version INTEGER, cloud TEXT, run INTEGER)")
        version, whose, run = self._connection.execute("SELECT * FROM header").fetchone() or (VERSION, cloud, 0)
        if (version, whose) != (VERSION, cloud):
            raise Rejected(f"the folder {path.parent} has the export of another cloud: name another one")
        self.run = run + 1
        self._connection.execute("DELETE FROM header")
        self._connection.execute("INSERT INTO header VALUES (?, ?, ?)", (VERSION, cloud, self.run))
        for table in ("photographs", "places", "people", "missing"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of these four
        self.commit()

    def commit(self) -> None:
        """Keep what was noted: a kill loses what came after the last one."""
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")

    def close(self) -> None:
        self._connection.close()

    # --- files -----------------------------------------------------------------------------------------------------------------

    def place(self, owner: str, wanted: str, *, beside: Sequence[str] = ()) -> File:
        """Return the owner's file: at the path that it wants, or, if that is taken, at one marked with the owner's digest.

        `beside`: suffixes of files that must be free as well."""
        sql = "SELECT path, sha256, size, wanted FROM files WHERE owner = ?"
        found = self._connection.execute(sql, (owner,)).fetchone()
        if found is not None and found[3] == wanted:
            self._connection.execute("UPDATE files SET run = ? WHERE owner = ?", (self.run, owner))
            return File(*found[:3])
        if found is not None:  # the file stays until the end of the run
            self._connection.execute("UPDATE files SET owner = ? WHERE owner = ?", (f"left/{found[0]}", owner))
        path = next(
            path
            for path in _candidates(owner, wanted)
            if all(map(self._is_free, (path, *(path + end for end in beside))))
        )
        values = (owner, wanted, path, collision_key(path), self.run)
        self._connection.execute(
            "INSERT INTO files (owner, wanted, path, collision, run) VALUES (?, ?, ?, ?, ?)", values
        )
        return File(path, "", 0)

    def _is_free(self, path: str) -> bool:
        """Neither a file nor a folder has the name, and none of the folders above is a file."""
        key = collision_key(path)
        parents = [str(parent) for parent in PurePosixPath(key).parents][:-1]
        exact = "SELECT 1 FROM files WHERE collision = ?"
        below = "SELECT 1 FROM files WHERE collision >= ? AND collision < ? LIMIT 1"
        taken = any(self._connection.execute(exact, (one,)).fetchone() for one in (key, *parents))
        return not taken and self._connection.execute(below, (f"{key}/", f"{key}0")).fetchone() is None

    def file(self, owner: str) -> File | None:
        sql = "SELECT path, sha256, size FROM files WHERE owner = ?"
        found = self._connection.execute(sql, (owner,)).fetchone()
        return File(*found) if found else None

    def is_current(self, owner: str) -> bool:
        """Return True if the owner's file was placed in this run."""
        sql = "SELECT 1 FROM files WHERE owner = ? AND run = ?"
        return self._connection.execute(sql, (owner, self.run)).fetchone() is not None

    def written(self, owner: str, sha256: str, size: int) -> None:
        sql = "UPDATE files SET sha256 = ?, size = ? WHERE owner = ?"
        self._connection.execute(sql, (sha256, size, owner))

    def files(self) -> Iterator[File]:
        """All written files of this run, by path."""
        sql = "SELECT path, sha256, size FROM files WHERE run = ? AND sha256 != '' ORDER BY path"
        return (File(*row) for row in self._connection.execute(sql, (self.run,)))

    def left(self) -> list[str]:
        """Forget the files that no owner of this run has, and return their paths."""
        sql = "DELETE FROM files WHERE run != ? RETURNING path"
        paths = [path for (path,) in self._connection.execute(sql, (self.run,))]
        self._connection.execute("DELETE FROM objects WHERE run != ?", (self.run,))
        return paths

    # --- what they are made of ---------------------------------------------------------------------------------------------------

    def add_photograph(self, id: str, photograph: Photograph) -> None:
        values = (id, msgspec.json.encode(photograph).decode())
        self._connection.execute("INSERT OR REPLACE INTO photographs VALUES (?, ?)", values)
        for place in photograph.places:
            self._connection.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", (place, id))

    def add_person(self, image: str, person: Person) -> None:
        self._connection.execute("INSERT INTO people VALUES (?, ?)", (image, msgspec.json.encode(person).decode()))

    def photograph_at(self, place: str) -> tuple[str, Photograph] | None:
        """Return the id and the facts of the photograph whose bytes the graph has at this place."""
        sql = "SELECT id, facts FROM photographs WHERE id = (SELECT id FROM places WHERE place = ?)"
        found = self._connection.execute(sql, (place,)).fetchone()
        return (found[0], msgspec.json.decode(found[1], type=Photograph)) if found else None

    def photographs(self) -> Iterator[tuple[str, Photograph, list[Person]]]:
        for id, facts in self._connection.execute("SELECT id, facts FROM photographs ORDER BY id"):
            people = self._connection.execute("SELECT facts FROM people WHERE image = ? ORDER BY facts", (id,))
            found = [msgspec.json.decode(one, type=Person) for (one,) in people]
            yield id, msgspec.json.decode(facts, type=Photograph), found

    # --- objects -----------------------------------------------------------------------------------------------------------------

    def stored(self, bucket: str, key: str) -> FetchedObject | None:
        sql = "SELECT etag, size, modified, type, owner FROM objects WHERE bucket = ? AND key = ?"
        found = self._connection.execute(sql, (bucket, key)).fetchone()
        return FetchedObject(*found) if found else None

    def has_objects(self) -> bool:
        """Return True if this run or an earlier one has fetched an object."""
        return self._connection.execute("SELECT 1 FROM objects LIMIT 1").fetchone() is not None

    def add_object(self, bucket: str, key: str, one: FetchedObject) -> None:
        values = (bucket, key, *one, self.run)
        self._connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def objects(self) -> Iterator[dict[str, object]]:
        """What `objects.jsonl` lists, by bucket and key."""
        sql = (
            "SELECT bucket, key, path, sha256, files.size, type, modified FROM objects JOIN files USING (owner) "
            "WHERE objects.run = ? ORDER BY bucket, key"
        )
        names = ("bucket", "key", "path", "sha256", "size", "type", "modified")
        return (dict(zip(names, row, strict=True)) for row in self._connection.execute(sql, (self.run,)))

    # --- what is missing ---------------------------------------------------------------------------------------------------------

    def miss(self, place: str, why: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO missing VALUES (?, ?)", (place, why))

    def missing(self) -> list[tuple[str, str]]:
        return self._connection.execute("SELECT place, why FROM missing ORDER BY place").fetchall()


def _candidates(owner: str, wanted: str) -> Iterator[str]:
    digest = hashlib.sha256(owner.encode()).hexdigest()
    top, name = PurePosixPath(wanted).parts[:2], PurePosixPath(wanted).name
    yield wanted
    yield marked(wanted, digest[:8])
    # A folder of its own, for a path whose folders are taken by a file.
    yield from (str(PurePosixPath(*top, f"~{digest[:length]}", name)) for length in (16, 64))
