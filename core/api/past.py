"""`asOf`: which event of the log a time or a revision stands for."""

from __future__ import annotations

import re
from datetime import datetime

from core.api.history import HistoryReader
from core.api.subscribe import read_position
from core.schema.scalar import canonical_datetime
from pcloud.errors import Rejected

__all__ = ["past_position"]

_REVISION = re.compile(r"[0-9A-Za-z]+\.\d+", re.ASCII)


async def past_position(log: HistoryReader, as_of: str) -> int:
    """The sequence that a revision or an RFC 3339 time stands for: the last whole transaction up to it (up to the end of the time's
    millisecond, as histories give times). Raises `Rejected`."""
    if _REVISION.fullmatch(as_of):
        at, last = read_position(as_of, log.epoch), await log.last_sequence()
        if at > last:
            raise Rejected(f"`asOf` is revision {as_of}, and the log ends at {last}: give one that has been")
    else:
        try:
            time = datetime.fromisoformat(canonical_datetime(as_of)).timestamp()
        except ValueError as error:
            raise Rejected(f"`asOf` is {as_of[:60]!r}: {error}, or a revision") from error
        at = await log.sequence_at(time + 0.001) - 1
    async for event in log.read(max(at, 1), at):
        if not event.ends_transaction:
            return at - event.ordinal
    return at
