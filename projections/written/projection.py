"""The bytes that each app has written into the log and that are still there: they are compared with its quota.

The projection is in memory, a number for each app, and is saved to a small file with its checkpoint from time to time: after
a kill, what came since is folded again. An event counts for the app that wrote it, or through which a person wrote it;
events that a `forgotten` event replaces no longer count. So a log from which events have been purged folds to the same
result.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from pcloud.errors import Corrupt
from pcloud.event import Kind, Purged, StoredEvent
from projections.checkpoint import HASH_MODULUS, START, Checkpoint, MissingRanges
from projections.position import PositionLog, misplaced

__all__ = ["Written", "open_written"]

log = logging.getLogger("pcloud.view")
# The most events that are folded again after a kill.
SAVE_EVENTS = 50_000
SAVE_SECONDS = 30.0


class _Saved(msgspec.Struct):
    """`hash` and `tip` in hexadecimal digits."""

    version: int
    epoch: str
    sequence: int
    hash: str
    missing: list[tuple[int, int]]
    tip: str
    apps: dict[str, int]


async def open_written(path: Path, source: PositionLog) -> Written:
    """The file's state if it belongs to the log `source`; else an empty projection."""
    projection = Written(path)
    if reason := await misplaced(source, projection.checkpoint):
        log.error("the view of what apps have written: %s; it is folded again", reason)
        projection = Written(path, START)
    return projection


class Written:
    """A target of the projection loop over the log."""

    name = "written"
    version = 1

    def __init__(self, path: Path, at: Checkpoint | None = None) -> None:
        """`at`: begin there, empty, and ignore the file."""
        self._path = path
        self._apps: Counter[str] = Counter()
        self.checkpoint = self._read() if at is None else at
        self._missing = MissingRanges(self.checkpoint.missing)
        self._saved_sequence, self._saved_at = self.checkpoint.sequence, time.monotonic()

    def bytes_of(self, app: str) -> int:
        """The bytes as of the checkpoint."""
        return self._apps[app]

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """Fold the events; those at or below the checkpoint are ignored. Raises `Corrupt` for another log's."""
        if self.checkpoint.epoch not in ("", epoch):
            raise Corrupt(f"the view {self._path} was folded from the log {self.checkpoint.epoch}, and this is {epoch}")
        self._fold(epoch, [event for event in events if event.sequence > self.checkpoint.sequence])
        behind = self.checkpoint.sequence - self._saved_sequence
        if behind >= SAVE_EVENTS or (behind and time.monotonic() - self._saved_at > SAVE_SECONDS):
            await self.save()
        return self.checkpoint

    async def save(self) -> None:
        """Save it, so that the next start continues from here. If the disk refuses, that start only takes longer."""
        if self.checkpoint.sequence > self._saved_sequence:
            self._saved_sequence, self._saved_at = self.checkpoint.sequence, time.monotonic()
            await asyncio.to_thread(self._write, self._encoded())

    def _fold(self, epoch: str, events: Sequence[StoredEvent]) -> None:
        at, total, tip = self.checkpoint.sequence, self.checkpoint.hash, self.checkpoint.tip
        for event in events:
            self._missing.add(at + 1, event.sequence - 1)
            at, total, tip = event.sequence, total + event.digest, event.digest
            if event.change.purged is not None:
                total += self._give_back(event.change.purged)
            elif event.kind is not Kind.FORGOTTEN and (app := event.charged):
                self._apps[app] += event.size
        self.checkpoint = Checkpoint(epoch, at, total % HASH_MODULUS, self._missing.ranges, tip)

    def _give_back(self, purged: Purged) -> int:
        """What was missing was never counted. Returns the sum of the digests of those events."""
        for app, events in purged.written.items():
            self._apps[app] -= sum(size for sequence, size in events if not self._missing.holds(sequence))
        return sum(int(digest, 16) for sequence, digest in purged.events if self._missing.take(sequence))

    def _read(self) -> Checkpoint:
        with suppress(OSError, msgspec.MsgspecError, ValueError):
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
            if saved.version == self.version:
                hash, tip, missing = int(saved.hash, 16), int(saved.tip, 16), tuple(saved.missing)
                self._apps.update(saved.apps)
                return Checkpoint(saved.epoch, saved.sequence, hash, missing, tip)
        return START

    def _encoded(self) -> bytes:
        at = self.checkpoint
        apps = {app: count for app, count in self._apps.items() if count}
        return msgspec.json.encode(
            _Saved(self.version, at.epoch, at.sequence, f"{at.hash:x}", list(at.missing), f"{at.tip:x}", apps)
        )

    def _write(self, data: bytes) -> None:
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            log.warning("what apps have written could not be noted at %s: %s", self._path, error)
