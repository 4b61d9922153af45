"""What a projection on Neo4j has committed: its position and catalog, and their form in the projection's record in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.event import StoredEvent
from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.catalog_history import CatalogHistory
from projections.graph.fold import transactions
from projections.graph.neo4j.layout import Layout, layout
from projections.graph.neo4j.names import Names

__all__ = ["READ", "State", "cut", "position", "read_state", "text_of"]

READ = "v.epoch, v.sequence, v.hash, v.missing, v.tip, v.catalogs"


@dataclass(frozen=True, slots=True)
class State:
    """Replaced as a whole, so that a read sees one consistent state."""

    checkpoint: Checkpoint
    history: CatalogHistory
    catalog: Catalog
    stored: Catalog
    layout: Layout

    @classmethod
    def make(cls, checkpoint: Checkpoint, history: CatalogHistory, names: Names) -> State:
        stored = history.stored()
        return cls(checkpoint, history, history.visible(), stored, layout(stored, names))


def read_state(record: Sequence[Any], names: Names, where: str) -> State:
    """From the result of `READ`; raises `Corrupt`."""
    epoch, sequence, total, missing, tip, catalogs = record
    try:
        ranges = tuple((first, last) for first, last in msgspec.json.decode(missing))
        history = msgspec.json.decode(catalogs, type=CatalogHistory)
        checkpoint = Checkpoint(epoch, sequence, int(total, 16), ranges, int(tip, 16))
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise Corrupt(f"{where} is damaged: build it again with `pcloud graph rebuild`") from error
    return State.make(checkpoint, history, names)


def position(at: Checkpoint) -> dict[str, Any]:
    return {
        "epoch": at.epoch, "sequence": at.sequence, "hash": f"{at.hash:x}", "missing": text_of(at.missing), "tip": f"{at.tip:x}",
    }  # fmt: skip


def text_of(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def cut(events: list[StoredEvent], before: State, names: Names) -> list[tuple[list[StoredEvent], State]]:
    """The events cut where the catalog changes; each part comes with the state for folding it."""
    found: list[tuple[list[StoredEvent], State]] = []
    state = before
    for members in transactions(events):
        history = state.history.after(members)
        if found and history is state.history:
            found[-1][0].extend(members)
            continue
        if history is not state.history:
            state = State.make(before.checkpoint, history, names)
        found.append((members, state))
    return found
