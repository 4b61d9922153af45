"""A transaction, as it is appended, and the log's answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pcloud.errors import Rejected
from pcloud.event import Event, Kind
from pcloud.revision import Revision

__all__ = ["MAX_EVENTS", "Appended", "Transaction"]

# JetStream's own limit of an atomic batch.
MAX_EVENTS = 1000

_TX = re.compile(r"[0-9a-f]{32}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Transaction:
    """Events that are stored together or not at all, at most one per entity.

    `tx`: 32 hexadecimal digits, the same for the same request. `actor`: who; `through`: the app through which, or ''.
    `cause`: the run or transaction that led here, `depth`: how many causes so far. `request`: hash of the request;
    `result`: the answer to it (ids per root field). `urgent`: stored even if the disk is nearly full; use it to take
    away a right or to let in a person who can make room.
    """

    tx: str
    events: tuple[Event, ...]
    actor: str
    cause: str = ""
    depth: int = 0
    request: str = ""
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    traceparent: str = ""
    through: str = ""
    urgent: bool = False

    @property
    def removes(self) -> bool:
        """Whether it deletes or forgets, and adds nothing; entities that lose a link or a value may change with it."""
        kinds = {event.kind for event in self.events}
        adds = any(event.kind is Kind.CREATED or event.change.set or event.change.link for event in self.events)
        return bool(kinds & {Kind.DELETED, Kind.FORGOTTEN}) and not adds

    def __post_init__(self) -> None:
        if not _TX.fullmatch(self.tx):
            raise Rejected(f"{self.tx!r} is not a transaction's id: use 32 hexadecimal digits")
        if not self.events:
            raise Rejected("a transaction without events changes nothing: leave it out")
        if len(self.events) > MAX_EVENTS:
            raise Rejected(
                f"{len(self.events)} changes in one transaction are too many: "
                f"{MAX_EVENTS} is the most, split the operation"
            )
        if len({event.ref for event in self.events}) < len(self.events):
            raise Rejected("a transaction holds at most one event per entity: merge the changes of one entity")
        for name in ("actor", "through", "cause", "request", "traceparent"):
            value = getattr(self, name)
            if not _LINE.fullmatch(value) or value != value.strip():
                raise Rejected(
                    f"{name} {value!r} can't be a header: remove line breaks, control characters and outer spaces"
                )


@dataclass(frozen=True, slots=True)
class Appended:
    """The transaction's place on the log: `sequences` of its events in order, `revision` after the last of them.

    `repeated`: it was found there, and not written by this very attempt. Then it may be an earlier writer's with the
    same `tx`; the graph has that writer's answer under the transaction's id.
    """

    revision: Revision
    sequences: tuple[int, ...]
    repeated: bool = False
