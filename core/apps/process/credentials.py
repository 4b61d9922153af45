"""The secrets of one app on this node: its key for the bus, and the key that signs the identity of visitors to its
pages.

Both are made here, once, and never leave this machine; only the public half of the bus key goes into the app's entity
of the graph.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import nkeys  # pyright: ignore[reportMissingTypeStubs]

from pcloud.errors import Corrupt

__all__ = ["bus_key", "web_key", "write_secret"]


def bus_key(path: Path) -> str:
    """Return the public half of the nkey whose seed is at `path`; make the nkey if the file is missing."""
    if not path.exists():
        write_secret(path, nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))  # pyright: ignore[reportUnknownMemberType]
    try:
        return nkeys.from_seed(bytearray(path.read_bytes().strip())).public_key.decode()  # type: ignore[attr-defined]
    except (nkeys.NkeysError, ValueError) as error:
        raise Corrupt(
            f"the bus key at {path} can't be read: remove the file, a new one is made at the next start"
        ) from error


def web_key(path: Path) -> bytes:
    """Return the 32 bytes at `path`; make them if the file is missing."""
    if not path.exists():
        write_secret(path, secrets.token_bytes(32))
    return path.read_bytes()


def write_secret(path: Path, value: bytes) -> None:
    """Write a file that only this user may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
