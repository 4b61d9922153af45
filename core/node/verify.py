"""Folds the log anew, beside the graph that answers queries, and compares the two."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eventstore import EventStore
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from projections.graph.catalog import Catalog
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.loop import BATCH

__all__ = ["verify_graph"]

ATTEMPTS = 5


async def verify_graph(
    store: EventStore, graph: SqliteGraph, builtin: Catalog, scratch: Path, progress: Callable[[str, str], None]
) -> dict[str, Any]:
    """`{"equal", "revision", "events"}`. `scratch`: a folder with room for a second graph, which is gone afterwards.

    What is forgotten meanwhile is missing in what is read, and explained further on: then the rest is read too, and compared again.
    """
    count, answer = 0, dict[str, Any]()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="verify-") as folder:
        refold = await open_sqlite_graph(Path(folder) / "graph.sqlite", builtin)
        try:
            for _ in range(ATTEMPTS):
                live = await graph.dump()
                epoch, last, _ = live["checkpoint"]
                count += await fold_all(store, refold, last, progress)
                equal = await refold.dump() == live
                answer = {"equal": equal, "revision": str(Revision(epoch, last)), "events": count}
                if equal or not refold.checkpoint.missing:
                    break
        finally:
            await refold.close()
    return answer


async def fold_all(store: EventStore, graph: SqliteGraph, last: int, progress: Callable[[str, str], None]) -> int:
    """Fold the events that it has not, up to `last`; returns how many those are."""
    count = 0
    batch: list[StoredEvent] = []
    async for event in store.read(graph.checkpoint.sequence + 1, last):
        batch.append(event)
        count += 1
        if len(batch) >= BATCH and event.ends_transaction:
            await graph.apply(store.epoch, batch)
            batch = []
            progress("folded", f"{event.sequence:,} of {last:,} events")
    if batch:
        await graph.apply(store.epoch, batch)
    return count
