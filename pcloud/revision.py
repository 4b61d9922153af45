"""A revision: a position on one log, as clients, calls and cursors carry it.

It is opaque to clients: they keep the newest one they received and send it with the next request, so that the answering
node has folded at least that much. The epoch tells one log from another after a restore.
"""

from __future__ import annotations

from typing import NamedTuple

from pcloud.errors import Rejected

__all__ = ["Revision"]


class Revision(NamedTuple):
    """Position `sequence` (the JetStream stream sequence, from 1; 0 is before the first event) on the log `epoch`."""

    epoch: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Parse the text form; raises `Rejected`."""
        epoch, dot, sequence = text.rpartition(".")
        if not dot or not epoch.isalnum() or not sequence.isdecimal() or len(text) > 64:
            raise Rejected(f"{text!r} is not a revision: send back what PCloud gave you, unchanged")
        return cls(epoch, int(sequence))
