"""The position of a projection on the log, stored in the same transaction as what was folded.

Its running hash shows whether two projections have folded the same events, even if one of them read the log after events had
been purged: a `forgotten` event names the digests of the events that it replaces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pcloud.event import StoredEvent

__all__ = ["HASH_MODULUS", "START", "Checkpoint", "MissingRanges", "Ranges"]

HASH_MODULUS = 2**256
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`epoch` of the log ('' before anything was folded), stream `sequence` of the last folded event, and the running
    `hash`: the sum of the digests of all folded events modulo 2**256.

    `missing`: ranges (first, last) of sequences that were no longer on the log when it was read; the `forgotten` event
    that explains each of them comes later and adds its digest. `tip`: the digest of the event at `sequence` (0:
    unknown).
    """

    epoch: str
    sequence: int
    hash: int
    missing: Ranges = ()
    tip: int = field(default=0, compare=False)

    def after(self, epoch: str, events: Iterable[StoredEvent]) -> Checkpoint:
        """The checkpoint after folding these events too; they come in order, all after `sequence`."""
        at, total, tip = self.sequence, self.hash, self.tip
        missing = MissingRanges(self.missing)
        for event in events:
            missing.add(at + 1, event.sequence - 1)
            at, total, tip = event.sequence, total + event.digest, event.digest
            if event.change.purged is not None:
                total += sum(
                    int(digest, 16) for sequence, digest in event.change.purged.events if missing.take(sequence)
                )
        return Checkpoint(epoch, at, total % HASH_MODULUS, missing.ranges, tip)


START = Checkpoint(epoch="", sequence=0, hash=0)


class MissingRanges:
    """Ranges of sequences, in ascending order, that were not on the log when it was read."""

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._now = list(ranges)

    @property
    def ranges(self) -> Ranges:
        return tuple(self._now)

    def add(self, first: int, last: int) -> None:
        if first <= last:
            self._now.append((first, last))

    def holds(self, sequence: int) -> bool:
        place = self._place(sequence)
        return place >= 0 and self._now[place][1] >= sequence

    def take(self, sequence: int) -> bool:
        """Remove a sequence and return True if it was missing."""
        if not self.holds(sequence):
            return False
        place = self._place(sequence)
        first, last = self._now[place]
        self._now[place : place + 1] = [
            one for one in ((first, sequence - 1), (sequence + 1, last)) if one[0] <= one[1]
        ]
        return True

    def _place(self, sequence: int) -> int:
        """The index of the last range that begins by then; -1 without one."""
        return bisect_right(self._now, sequence, key=lambda one: one[0]) - 1
