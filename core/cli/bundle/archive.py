"""Writes a bundle: one `.tar.gz` of bounded size, mode 0600, that is there whole or not at all."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcloud.errors import Rejected, Unavailable

__all__ = ["LARGEST_PART", "write_bundle"]

LARGEST_PART = 2 * 2**20  # bytes


def write_bundle(path: Path, parts: Mapping[str, Any], *, made: float) -> int:
    """Write each part, a text or a JSON value, as a file of its own; return the bytes of the archive. Raises `Rejected` if `path`
    exists, `Unavailable` if it can't be written."""
    packed = _packed(path.name.removesuffix(".tar.gz") or "bundle", parts, made)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise Rejected(f"{path} exists: name another file") from error
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unavailable(f"{path} can't be written: {error.strerror or error}") from error
        raise
    return len(packed)


def _packed(folder: str, parts: Mapping[str, Any], made: float) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in parts.items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            data = text.encode(errors="replace")[-LARGEST_PART:]
            # The owner's name on this machine stays out.
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(made)
            tar.addfile(member, io.BytesIO(data))
    return whole.getvalue()
