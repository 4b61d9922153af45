"""Archives that were uploaded and are not installed yet: one file each, kept for an hour, and only a few at a time.

The owner uploads an archive once and decides on exactly the bytes that are installed. An archive is never held in
memory here.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from core.apps.tree.disk_errors import writing
from pcloud.errors import NotFound, Rejected

__all__ = ["STAGED", "Staged"]

# Beside the apps' folders; an app can't have this name.
STAGED = ".staged"
AT_MOST = 4
SECONDS = 3600.0
SHA256 = re.compile(r"[0-9a-f]{64}")
# During the upload.
PART = ".part"


class Staged:
    """`folder`: holds nothing else. Files left in it are dropped at the start: a review does not outlive the node.
    `longest`: bytes of one archive."""

    def __init__(self, folder: Path, *, longest: int, at_most: int = AT_MOST, seconds: float = SECONDS):
        self._folder = folder
        self._longest = longest
        self._at_most = at_most
        self._seconds = seconds
        self._used = Counter[str]()

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, mode=0o700)

    async def receive(self, pieces: AsyncIterator[bytes]) -> Path:
        """Write the pieces to a file that is named by its sha256. Raises `Rejected` if it is too long, `Unavailable` if
        the disk is full."""
        part = self._folder / f"{token_hex(8)}{PART}"
        digest, size = hashlib.sha256(), 0
        try:
            async for piece in pieces:
                size += len(piece)
                if size > self._longest:
                    raise Rejected(f"the archive is longer than {self._longest} bytes: that is the most allowed")
                digest.update(piece)
                await asyncio.to_thread(self._append, part, piece)
            return await asyncio.to_thread(self._keep, part, digest.hexdigest())
        finally:
            part.unlink(missing_ok=True)

    def put(self, data: bytes) -> Path:
        """Stage an archive that is in memory already; call it in a thread."""
        part = self._folder / f"{token_hex(8)}{PART}"
        try:
            self._append(part, data)
            return self._keep(part, hashlib.sha256(data).hexdigest())
        finally:
            part.unlink(missing_ok=True)

    def place(self, sha256: str) -> Path:
        """Return the file of a staged archive; raises `NotFound` if it was never uploaded or has expired."""
        self._drop_old()
        place = self._folder / sha256[:64]
        if not SHA256.fullmatch(sha256) or not place.exists():
            raise NotFound(f"no uploaded archive {sha256[:12]!r} is kept here (any more): upload it again")
        return place

    @contextmanager
    def using(self, place: Path) -> Generator[None]:
        """Keep the file during this context, however old it is."""
        self._used[place.name] += 1
        try:
            yield
        finally:
            self._used[place.name] -= 1

    def drop(self, place: Path) -> None:
        """Delete the file, unless it is still in use; then it is deleted when it expires."""
        if self._used[place.name] <= 0:
            place.unlink(missing_ok=True)

    def _append(self, part: Path, piece: bytes) -> None:
        with writing("the archive", self._folder), part.open("ab") as file:
            file.write(piece)

    def _keep(self, part: Path, sha256: str) -> Path:
        with writing("the archive", self._folder):
            part.touch()  # an upload without content has no file yet
            place = part.replace(self._folder / sha256)
        self._drop_old(keep=sha256)
        return place

    def _drop_old(self, keep: str = "") -> None:
        files = [file for file in self._folder.iterdir() if SHA256.fullmatch(file.name)]
        others = sorted((file for file in files if file.name != keep), key=os.path.getmtime, reverse=True)
        too_many = others[self._at_most - (1 if keep else 0) :]
        for file in others:
            if file in too_many or time.time() - file.stat().st_mtime > self._seconds:
                self.drop(file)
