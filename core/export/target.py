"""The folder of an export: empty, or with an earlier export.

A file in it is written beside its place, flushed, and renamed: it is whole or absent.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp

from pcloud.errors import Rejected, Unavailable

__all__ = ["STATE", "SUMS", "ExportFolder", "digest_of"]

STATE, SUMS = "state.sqlite", "SHA256SUMS"
OURS = frozenset({
    STATE, f"{STATE}-journal", SUMS, "README.txt", "export.json", "objects.jsonl", "missing.jsonl", "graph", "photographs", "objects",
    "part",
})  # fmt: skip
CHUNK = 2**20


class ExportFolder:
    """`root`: absolute. Its methods block on the disk; each error of it becomes `Unavailable`, with what to do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._part = root / "part"

    def open(self, data: Path) -> None:
        """Make the folder if it does not exist. Raises `Rejected` if it is inside the data folder, or has anything but an export."""
        root, inside = self.root.resolve(), data.resolve()
        if root == inside or inside in root.parents:
            raise Rejected(
                f"{self.root} is inside the data folder {data}: name a folder elsewhere, best on another disk"
            )
        with self.told():
            if self.root.exists() and not self.root.is_dir():
                raise Rejected(f"{self.root} is not a folder: name an empty one")
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = sorted(self.root.iterdir())
            foreign = [one for one in found if one.name not in OURS or one.is_symlink()]
            if foreign or (found and not (self.root / STATE).is_file()):
                raise Rejected(
                    f"the folder {self.root} is not empty, it has {(foreign or found)[0].name}: name an empty one, or an earlier export"
                )

    @contextmanager
    def told(self) -> Generator[None]:
        """Raise `Unavailable` for an error of the disk in this block."""
        try:
            yield
        except (
            aiohttp.ClientError,
            ConnectionError,
            TimeoutError,
        ):  # of the network, though some are errors of the system
            raise
        except (OSError, sqlite3.OperationalError) as error:
            code = error.errno if isinstance(error, OSError) else error.sqlite_errorcode
            full = code in ((errno.ENOSPC, errno.EDQUOT) if isinstance(error, OSError) else (sqlite3.SQLITE_FULL,))
            what = "its disk is full: make room" if full else f"{error}: is the disk still connected?"
            raise Unavailable(
                f"the export into {self.root} stopped: {what}; the same command goes on where it was"
            ) from error

    def write(self, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        """Write a file whole or not at all; return its SHA-256 and size."""
        with self.told():
            digest, size = hashlib.sha256(), 0
            with self._part.open("wb") as file:
                for part in parts:
                    file.write(part)
                    digest.update(part)
                    size += len(part)
                file.flush()
                os.fsync(file.fileno())
            self.move_part(path)
            return digest.hexdigest(), size

    async def receive(self, parts: AsyncIterable[bytes]) -> tuple[str, int]:
        """Write what arrives beside its later place, for `move_part`; return its SHA-256 and size."""
        with self.told():
            digest, size = hashlib.sha256(), 0
            with self._part.open("wb") as file:
                async for part in parts:
                    file.write(part)
                    digest.update(part)
                    size += len(part)
                file.flush()
                os.fsync(file.fileno())
            return digest.hexdigest(), size

    def move_part(self, path: str) -> None:
        """Give what was written last its name."""
        with self.told():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            self._part.replace(place)
            _flush(place.parent)

    def has(self, path: str, sha256: str, size: int) -> bool:
        """Return True if the file is there with these bytes; reads it."""
        place = self.root / path
        try:
            return bool(sha256) and place.stat().st_size == size and digest_of(place) == sha256
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable(f"{place} can't be read: {error.strerror}; is the disk still connected?") from error

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that are empty then."""
        with self.told():
            (self.root / path).unlink(missing_ok=True)
            for folder in (self.root / path).parents:
                if folder == self.root or not folder.is_dir() or next(folder.iterdir(), None) is not None:
                    break
                folder.rmdir()

    def remove_part(self) -> None:
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such thing
            raise
    finally:
        os.close(descriptor)
