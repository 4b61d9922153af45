"""The format in which the reading process passes events on, and the request that it gets; both live as long as one
reading.

JSON, because it supports whole numbers of the digest's size and decodes directly into events.
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
