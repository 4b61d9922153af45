"""The directory's state in a file, from which a node starts instead of reading all of core's events.

A file that is damaged, of another version or of another log is ignored; then the log is folded instead.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from pcloud.errors import Corrupt
from projections.graph.model import Frozen

__all__ = ["Snapshot", "read_snapshot", "write_snapshot"]


class Snapshot(msgspec.Struct, frozen=True):
    """`declared`: see `Directory`."""

    version: int
    declared: int
    frozen: Frozen


def write_snapshot(path: Path, version: int, frozen: Frozen, declared: int) -> None:
    """Replace the file in one step; its first line is the SHA-256 of the rest."""
    body = msgspec.json.encode(Snapshot(version, declared, frozen))
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    part.replace(path)


def read_snapshot(path: Path, version: int) -> Snapshot | None:
    """None without a snapshot of this version; raises `Corrupt` for a damaged one."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise Corrupt(f"the snapshot {path} is damaged")
    try:
        found = msgspec.json.decode(body, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"the snapshot {path} can't be read: {error}") from error
    return found if found.version == version else None
