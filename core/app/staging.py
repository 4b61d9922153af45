"""Archives that were uploaded for a review and are not installed yet: kept aside for an hour, a few at most.

So the owner decides on exactly the bytes that are installed, and uploads them once.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from pcloud.errors import NotFound

__all__ = ["STAGED", "Staged"]

# Beside the apps' folders; no app can have this name.
STAGED = ".staged"
AT_MOST = 4
SECONDS = 3600.0
SHA256 = re.compile(r"[0-9a-f]{64}")


class Staged:
    """`folder`: of nothing else. What was there before is dropped: a review does not outlive the node."""

    def __init__(self, folder: Path, *, at_most: int = AT_MOST, seconds: float = SECONDS):
        self._folder = folder
        self._at_most = at_most
        self._seconds = seconds

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def put(self, sha256: str, data: bytes) -> None:
        """Keep `data`; the oldest ones beyond the bound go."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._folder / sha256
        part = place.with_suffix(".part")
        part.write_bytes(data)
        part.replace(place)
        self._drop_old(keep=sha256)

    def get(self, sha256: str) -> bytes:
        """Raises `NotFound` for what was never uploaded, or is too old."""
        self._drop_old()
        place = self._folder / sha256
        if not SHA256.fullmatch(sha256) or not place.exists():
            raise NotFound(f"no uploaded archive {sha256[:12]!r} waits here (any more): upload it again")
        return place.read_bytes()

    def drop(self, sha256: str) -> None:
        if SHA256.fullmatch(sha256):
            (self._folder / sha256).unlink(missing_ok=True)

    def _drop_old(self, keep: str = "") -> None:
        if not self._folder.exists():
            return
        files = sorted(self._folder.iterdir(), key=os.path.getmtime, reverse=True)
        others = [file for file in files if file.name != keep]
        too_many = others[self._at_most - (1 if keep else 0) :]
        for file in others:
            if file in too_many or time.time() - file.stat().st_mtime > self._seconds:
                file.unlink(missing_ok=True)
