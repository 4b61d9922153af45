"""Converts an earlier version's ledger to today's form."""

from __future__ import annotations

import re
import sqlite3

import msgspec

from object_store.rights import UNKNOWN, stood_for

__all__ = ["bring_up_to_date"]

_ADDED = {
    "holder": "TEXT NOT NULL DEFAULT ''", "rights": "TEXT NOT NULL DEFAULT '{}'", "secret": "TEXT NOT NULL DEFAULT ''",
    "ended": "INTEGER NOT NULL DEFAULT 0",
}  # fmt: skip
# Core named a device's key pair after the device and requested it as the owner.
_DEVICE = re.compile(r"device-([0-9a-f]{32})-[A-Z2-7]{8}")


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the issuer of a key its holder, as long as that caller may request it; a device, as long as it may do what
    the key can."""
    known = {row[1] for row in db.execute("PRAGMA table_info(credential)")}
    for column, kind in _ADDED.items():
        if column not in known:
            db.execute(f"ALTER TABLE credential ADD COLUMN {column} {kind}")
    for access_key, user, write, issuer in db.execute(
        "SELECT access_key, user, write, issuer FROM credential WHERE holder = ''"
    ).fetchall():
        device = None if issuer.startswith("app:") else _DEVICE.fullmatch(user)
        holder = f"device:{device[1]}" if device else issuer
        actions = stood_for(bool(write), bool(write)) if device else ("issue-credentials",)
        rights = msgspec.json.encode(dict.fromkeys(actions, UNKNOWN)).decode()
        db.execute("UPDATE credential SET holder = ?, rights = ? WHERE access_key = ?", (holder, rights, access_key))
