"""What the store remembers beside the objects, in SQLite: buckets with owner and webhook, credentials, and which objects were announced.

    bucket      name → owner, webhook
    credential  access key → user, place, issuer, holder, rights …; secret of those that sign; ended, or not made yet
    object      (bucket, key) → etag …, seen, gone, sent, tries, due; only of buckets with a webhook
    checkpoint  the time of the last message of the filer's stream that is folded in here

Owners and issuers are callers as core names them; older ledgers, from before people had ids, say `owner`, which is converted when they
are opened.

A batch of changes and its checkpoint are one transaction: a kill loses both or none. A change older than what is known of its key
changes nothing, so the stream may be read again, and a listing and the stream may overlap. It survives kill -9 at any time; after a
power cut the last transactions may be missing, which only makes the stream and the listing report them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from object_store.earlier import bring_up_to_date
from object_store.metadata import Change, Created, Deleted
from object_store.rights import Rights
from pcloud.errors import Corrupt, Unavailable

__all__ = ["Bucket", "Credential", "Ledger", "Notification"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, owner TEXT NOT NULL, webhook TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS credential (access_key TEXT PRIMARY KEY, user TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL,
    write INTEGER NOT NULL, issuer TEXT NOT NULL, holder TEXT NOT NULL, rights TEXT NOT NULL, secret TEXT NOT NULL,
    ended INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS object (bucket TEXT NOT NULL, key TEXT NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
    modified INTEGER NOT NULL, seen INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, key)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
UPDATE bucket SET owner = 'person:owner' WHERE owner = 'owner';
UPDATE credential SET issuer = 'person:owner' WHERE issuer = 'owner';
"""
_ADDED = ("tries", "due")  # since the first ledgers
# An object that was never tried is due at 0, one that failed at a later second: the clock may have been set back since.
_AT_START = """
DROP INDEX IF EXISTS waiting;
CREATE INDEX IF NOT EXISTS unsent ON object (bucket, due) WHERE sent = 0 AND gone = 0;
UPDATE object SET due = 1 WHERE sent = 0 AND gone = 0 AND due > 1;
"""
_CREATED = """
INSERT INTO object (bucket, key, etag, size, modified, seen)
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM bucket WHERE name = ?1 AND webhook != '')
ON CONFLICT (bucket, key) DO UPDATE SET
    sent = CASE WHEN gone OR etag != excluded.etag THEN 0 ELSE sent END,
    tries = CASE WHEN gone OR etag != excluded.etag THEN 0 ELSE tries END,
    due = CASE WHEN gone OR etag != excluded.etag THEN 0 ELSE due END,
    modified = CASE WHEN gone OR etag != excluded.etag THEN excluded.modified ELSE modified END,
    etag = excluded.etag, size = excluded.size, seen = excluded.seen, gone = 0
WHERE excluded.seen > seen
"""
_CREDENTIAL = "access_key, user, bucket, prefix, write, issuer, holder, rights, secret"
_KEEP_GONE_NS = 86_400 * 10**9  # a deleted key is remembered for a day, in case older messages come again


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    owner: str
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """An S3 key. `holder`: who holds it; `rights`: the holder's rights under which it was made. `secret`: for a key
    that signs addresses here; a key that was issued has none, and an `issuer`."""

    access_key: str
    user: str
    bucket: str
    prefix: str
    write: bool
    issuer: str
    holder: str = ""
    rights: Rights = field(default_factory=dict[str, int])
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """An object that was not sent to its bucket's webhook yet; `tries`: the number of failed attempts."""

    webhook: str
    bucket: str
    key: str
    etag: str
    size: int
    modified: int
    tries: int = 0


class Ledger:
    """One connection, used by one thread. `with Ledger(path) as ledger`."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, factory=_Connection)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA cache_size = -2000")
            self._db.executescript(_SCHEMA)
            known = {row[1] for row in self._db.execute("PRAGMA table_info(object)")}
            for column in _ADDED:
                if column not in known:
                    self._db.execute(f"ALTER TABLE object ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
            self._db.executescript(_AT_START)
            bring_up_to_date(self._db)
        except sqlite3.DatabaseError as error:
            raise Corrupt(
                f"{path} can't be read ({error}): move it away to have the objects listed again; then make the buckets again"
            ) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.close()

    # Buckets and credentials

    def bucket(self, name: str) -> Bucket | None:
        row = self._db.execute("SELECT name, owner, webhook FROM bucket WHERE name = ?", (name,)).fetchone()
        return Bucket(*row) if row else None

    def buckets(self) -> list[Bucket]:
        return [Bucket(*row) for row in self._db.execute("SELECT name, owner, webhook FROM bucket ORDER BY name")]

    def count_buckets(self, owner: str) -> int:
        return self._db.execute("SELECT count(*) FROM bucket WHERE owner = ?", (owner,)).fetchone()[0]

    def add_bucket(self, bucket: Bucket) -> Bucket:
        """Return the bucket as it is then: the first owner stays; a given webhook replaces the earlier one."""
        self._db.execute(
            "INSERT INTO bucket VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET webhook = excluded.webhook"
            " WHERE owner = excluded.owner AND excluded.webhook != ''",
            (bucket.name, bucket.owner, bucket.webhook),
        )
        return self.bucket(bucket.name) or bucket

    def remove_bucket(self, name: str) -> None:
        """Remove it with all that is known of its objects; its credentials have ended before."""
        with self._transaction():
            self._db.execute("DELETE FROM object WHERE bucket = ?", (name,))
            self._db.execute("DELETE FROM bucket WHERE name = ?", (name,))

    def credential(self, access_key: str) -> Credential | None:
        found = self._credentials("access_key = ?", access_key)
        return found[0] if found else None

    def credentials(self) -> list[Credential]:
        """All valid credentials."""
        return self._credentials("NOT ended")

    def ended(self) -> list[Credential]:
        """What weed may still know but must not serve: ended credentials, and unfinished ones."""
        return self._credentials("ended")

    def signing(self, holder: str, action: str, bucket: str) -> Credential | None:
        where = "NOT ended AND secret != '' AND holder = ? AND bucket = ?"
        return next((one for one in self._credentials(where, holder, bucket) if action in one.rights), None)

    def _credentials(self, where: str, *values: str) -> list[Credential]:
        rows = self._db.execute(f"SELECT {_CREDENTIAL} FROM credential WHERE {where}", values)  # noqa: S608 - our own texts
        return [Credential(*row[:4], bool(row[4]), *row[5:7], _rights(row[7]), row[8]) for row in rows]

    def count_credentials(self, issuer: str) -> int:
        """The number of credentials that were issued to this issuer."""
        where = "secret = '' AND issuer = ?"
        return self._db.execute(f"SELECT count(*) FROM credential WHERE {where}", (issuer,)).fetchone()[0]  # noqa: S608 - our own text

    def begin_credential(self, credential: Credential) -> None:
        """Add a credential that counts as ended until `hold`."""
        c = credential
        rights = msgspec.json.encode(c.rights).decode()
        values = (c.access_key, c.user, c.bucket, c.prefix, int(c.write), c.issuer, c.holder, rights, c.secret)
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO credential ({_CREDENTIAL}, ended) VALUES ({marks}, 1)", values)  # noqa: S608 - our own texts

    def hold_credential(self, access_key: str) -> None:
        self._db.execute("UPDATE credential SET ended = 0 WHERE access_key = ?", (access_key,))

    def end_credentials(self, access_keys: Iterable[str]) -> None:
        with self._transaction():
            self._db.executemany(
                "UPDATE credential SET ended = 1 WHERE access_key = ?", [(key,) for key in access_keys]
            )

    def set_rights(self, access_key: str, rights: Rights) -> None:
        text = msgspec.json.encode(rights).decode()
        self._db.execute("UPDATE credential SET rights = ? WHERE access_key = ?", (text, access_key))

    def remove_credential(self, access_key: str) -> None:
        self._db.execute("DELETE FROM credential WHERE access_key = ?", (access_key,))

    # Objects

    def checkpoint(self) -> int:
        """Unix nanoseconds; 0 before anything has been read."""
        row = self._db.execute("SELECT at FROM checkpoint").fetchone()
        return row[0] if row else 0

    def record(self, batch: Iterable[Change], checkpoint: int = 0) -> None:
        """Fold changes in, all or none, with the checkpoint (0: it stays)."""
        with self._transaction():
            for change in batch:
                self._fold(change)
            if checkpoint:
                self._db.execute(
                    "INSERT INTO checkpoint VALUES (1, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
                    (checkpoint,),
                )

    def _fold(self, change: Change) -> None:
        if isinstance(change, Created):
            c = change
            self._db.execute(_CREATED, (c.bucket, c.key, c.etag, c.size, c.modified, c.at))
        else:
            self._db.execute(
                "UPDATE object SET gone = 1, seen = ?3 WHERE bucket = ?1 AND key = ?2 AND gone = 0 AND seen < ?3",
                (change.bucket, change.key, change.at),
            )

    def begin_listing(self) -> None:
        columns = "key TEXT PRIMARY KEY, etag TEXT, size INTEGER, modified INTEGER"
        self._db.execute(f"CREATE TEMP TABLE IF NOT EXISTS listed ({columns})")
        self._db.execute("DELETE FROM listed")

    def list_page(self, page: Iterable[Created]) -> None:
        rows = [(o.key, o.etag, o.size, o.modified) for o in page]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?)", rows)

    def end_listing(self, bucket: str, at: int) -> int:
        """Fold in how the listing that began at this time differs from what is known; return the number of
        differences."""
        new = self._db.execute(
            "SELECT l.* FROM listed l LEFT JOIN object o ON o.bucket = ? AND o.key = l.key"
            " WHERE o.key IS NULL OR o.gone OR o.etag != l.etag",
            (bucket,),
        ).fetchall()
        lost = self._db.execute(
            "SELECT o.key FROM object o LEFT JOIN listed l ON l.key = o.key"
            " WHERE o.bucket = ? AND NOT o.gone AND l.key IS NULL",
            (bucket,),
        ).fetchall()
        found: list[Change] = [Created(bucket, key, etag, size, modified, at) for key, etag, size, modified in new]
        found += [Deleted(bucket, key, at) for (key,) in lost]
        self.record(found)
        self._db.execute("DELETE FROM listed")
        self._db.execute("DELETE FROM object WHERE bucket = ? AND gone AND seen < ?", (bucket, at - _KEEP_GONE_NS))
        return len(found)

    def waiting(self, bucket: str, most: int) -> list[Notification]:
        """Notifications that were never tried."""
        return self._between(bucket, 0, 0, most)

    def failed_before(self, bucket: str, now: int, most: int) -> list[Notification]:
        """Notifications that are due for a retry, the longest due first."""
        return self._between(bucket, 1, now, most)

    def next_due(self, bucket: str, now: int) -> int | None:
        """When the next retry after `now` is due."""
        query = "SELECT min(due) FROM object WHERE bucket = ? AND sent = 0 AND gone = 0 AND due > ?"
        return self._db.execute(query, (bucket, now)).fetchone()[0]

    def _between(self, bucket: str, first: int, last: int, most: int) -> list[Notification]:
        rows = self._db.execute(
            "SELECT b.webhook, o.bucket, o.key, o.etag, o.size, o.modified, o.tries FROM object o"
            " JOIN bucket b ON b.name = o.bucket WHERE o.bucket = ? AND o.sent = 0 AND o.gone = 0 AND b.webhook != ''"
            " AND o.due BETWEEN ? AND ? ORDER BY o.due LIMIT ?",
            (bucket, first, last, most),
        )
        return [Notification(*row) for row in rows]

    def count_waiting(self) -> list[tuple[Bucket, int]]:
        """The buckets with objects of which the webhook does not know yet, and how many these are."""
        query = (
            "SELECT b.name, b.owner, b.webhook, count(*) FROM bucket b JOIN object o ON o.bucket = b.name"
            " WHERE b.webhook != '' AND o.sent = 0 AND o.gone = 0 GROUP BY b.name ORDER BY b.name"
        )
        return [(Bucket(*bucket), count) for *bucket, count in self._db.execute(query)]

    def buckets_waiting(self) -> list[str]:
        query = (
            "SELECT name FROM bucket WHERE webhook != ''"
            " AND EXISTS (SELECT 1 FROM object WHERE bucket = name AND sent = 0 AND gone = 0)"
        )
        return [name for (name,) in self._db.execute(query)]

    def sent(self, notification: Notification) -> None:
        """Mark it as sent, unless the object has been replaced since: then the new one must still be sent."""
        n = notification
        self._db.execute(
            "UPDATE object SET sent = 1 WHERE bucket = ? AND key = ? AND etag = ? AND modified = ?",
            (n.bucket, n.key, n.etag, n.modified),
        )

    def failed(self, notification: Notification, due: int) -> None:
        """Retry it at `due` (unix seconds), unless the object has been replaced since: then send the new one at
        once."""
        n = notification
        self._db.execute(
            "UPDATE object SET tries = tries + 1, due = max(?, 1) WHERE bucket = ? AND key = ? AND etag = ? AND modified = ?",
            (due, n.bucket, n.key, n.etag, n.modified),
        )

    def try_again(self, bucket: str) -> None:
        """Make everything that failed due now."""
        self._db.execute("UPDATE object SET tries = 0, due = 0 WHERE bucket = ? AND sent = 0 AND gone = 0", (bucket,))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


def _rights(text: str) -> dict[str, int]:
    return msgspec.json.decode(text, type=dict[str, int])


class _Connection(sqlite3.Connection):
    """Raises `Unavailable` for what can't be written now, such as on a full disk."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise Unavailable(f"the object store's records can't be written: {error}") from error
            raise


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
