"""Events as the process that reads a long stretch of the log hands them on, and what it is asked for; both live as long as one reading.

JSON, as it is the one that has whole numbers of the digest's size, and read straight into events.
"""

from __future__ import annotations

import msgspec

from eventstore.settings import ConnectionSettings
from pcloud.event import StoredEvent

__all__ = ["Stretch", "pack", "unpack"]


class Stretch(msgspec.Struct):
    """From sequence `first` to `last` of a stream."""

    settings: ConnectionSettings
    stream: str
    first: int
    last: int
    subjects: list[str]


pack = msgspec.json.Encoder().encode
unpack = msgspec.json.Decoder(list[StoredEvent]).decode
