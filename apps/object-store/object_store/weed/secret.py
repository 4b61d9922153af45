"""The server's own secrets, made once with the operating system's randomness and kept in one file with mode 0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from pcloud.errors import Corrupt

__all__ = ["KeyPair", "Secrets", "keep_secrets", "new_key_pair"]


class KeyPair(msgspec.Struct, frozen=True):
    """An S3 key pair, in AWS's format."""

    access_key: str
    secret_key: str


class Secrets(msgspec.Struct, frozen=True):
    """`admin`: the key pair that may do everything; it never leaves this app, and each start makes another one. The
    rest sign weed's inner requests (JWT)."""

    admin: KeyPair
    volume_write: str
    volume_read: str
    filer_write: str
    filer_read: str
    token_service: str


def new_key_pair() -> KeyPair:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return KeyPair("PC" + "".join(secrets.choice(alphabet) for _ in range(18)), secrets.token_urlsafe(30))


def keep_secrets(file: Path) -> Secrets:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Secrets)
        return msgspec.structs.replace(kept, admin=new_key_pair())
    except FileNotFoundError:
        made = Secrets(new_key_pair(), *(secrets.token_hex(32) for _ in range(5)))
        write_private(file, msgspec.json.encode(made))
        return made
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"{file} does not hold the object store's secrets ({error}): put it back from a backup"
        ) from error


def write_private(file: Path, content: bytes) -> None:
    """All or nothing, and never readable by others, not even for a moment."""
    partial = file.with_name(file.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
