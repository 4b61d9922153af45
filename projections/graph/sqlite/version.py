"""Which version of the fold made a file, read before anything else: another version's file is whole, and only looks damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from projections.versions import OtherVersion

__all__ = ["VERSION", "check_version"]

VERSION = 3  # 2: indexes for values that many entities share, in the order of time; 3: without core's own types
# Versions whose files this program can use until they are rebuilt; files of other versions are rebuilt before they are
# queried.
READABLE = frozenset({1, 2, VERSION})


def check_version(path: Path, connection: sqlite3.Connection) -> None:
    """Raises `OtherVersion`. A new file has no version yet."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'view'").fetchone():
        return
    saved = dict(connection.execute("SELECT name, value FROM view WHERE name IN ('version', 'checkpoint')").fetchall())
    made = int(saved.get("version", VERSION))
    if made not in READABLE or (made == 1 and _of_the_first_release(saved.get("checkpoint", "[]"))):
        raise OtherVersion(f"the view {path}", made, VERSION)


def _of_the_first_release(checkpoint: str) -> bool:
    """Its checkpoints have no list of what is missing."""
    try:
        return len(msgspec.json.decode(checkpoint, type=list[Any])) == 3
    except msgspec.MsgspecError:
        return False
