"""Where a view stands on the log, kept in the same transaction of the store as what was folded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HASH_MODULUS", "START", "Checkpoint"]

HASH_MODULUS = 2**256


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`epoch` of the log ('' before anything was folded), stream `sequence` of the last folded event, and the running `hash`:
    the sum of the digests of all folded events modulo 2**256."""

    epoch: str
    sequence: int
    hash: int


START = Checkpoint(epoch="", sequence=0, hash=0)
