"""What happened to a transaction's entities since, as far as its undo has to know: whether each is still the same entity, and which
later transaction depends on it. Reads only those entities' log, and keeps texts, not events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.graph.command.derived_ids import transaction_of_key
from core.graph.command.protocols import ReadableLog
from pcloud.errors import Rejected
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref

__all__ = ["MOST_READ", "Since", "happened_since"]

MOST_READ = 200_000
CHUNK = 100


class Since:
    """The history of one entity. `told`: the newest event that deleted it or changed what is to be undone ('': there is no such event).
    `remade`: how it became another entity with the same id ('': it did not)."""

    def __init__(self, event: StoredEvent) -> None:
        self._fields = event.change.fields if event.kind is Kind.UPDATED else None
        self._deleted = self._before = ""
        self.told = self.remade = ""

    def fold(self, later: StoredEvent) -> None:
        if later.kind is Kind.CREATED:
            if self._deleted and later.tx == transaction_of_key("undo", self._deleted):
                self._deleted, self.told = "", self._before  # the deletion was undone: it is the same entity, as it was
                return
            self.remade = f"{later.ref} was deleted and made again since, by {later.actor} in transaction {later.tx}"
        elif later.kind is not Kind.UPDATED:
            self._deleted, self._before = later.tx, self.told
        touched = later.change.fields
        shared = sorted(touched if self._fields is None else touched & self._fields)
        if later.kind is not Kind.UPDATED or shared:
            what = f" ({', '.join(shared)})" if shared else ""
            self.told = f"{later.ref} was {later.kind.value} since, by {later.actor}{what} in transaction {later.tx}"


async def happened_since(
    log: ReadableLog, events: Sequence[StoredEvent], versions: Mapping[Ref, int]
) -> dict[Ref, Since]:
    """Return the history of each of a transaction's entities; `versions`: the current ones. Raises `Rejected` if too much happened
    since to be searched."""
    since = {event.ref: Since(event) for event in events}
    first, left = events[-1].sequence + 1, MOST_READ
    moved = sorted((event.ref for event in events if versions[event.ref] >= first), key=str)
    for start in range(0, len(moved), CHUNK):
        some = moved[start : start + CHUNK]
        last = max(versions[ref] for ref in some)
        async for later in log.read(first, last, subjects=tuple(ref.subject for ref in some)):
            if (left := left - 1) < 0:
                raise Rejected(
                    f"{events[0].tx} can't be undone: what it changed was changed more than {MOST_READ:,} times since, "
                    "too often to be searched; change it back by hand"
                )
            if later.sequence <= versions[later.ref]:
                since[later.ref].fold(later)
    return since
