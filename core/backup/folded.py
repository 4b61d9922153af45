"""Opens a copied log with a nats-server of its own and folds it with the code of the graph view.

The graph is folded into a temporary file and read back page by page, so that memory does not grow with the log.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.backup.record import Folded
from core.graph.schema import builtin_catalog
from core.node.backups.revocations import Forgotten, Revocations, cloud_of, revocations
from eventstore import ConnectionSettings, EventStore, ServerSettings, open_server, open_store
from pcloud.event import StoredEvent
from projections.checkpoint import Checkpoint
from projections.directory import Directory
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.refill import refill

__all__ = ["FoldedLog", "Progress", "fold_log"]

Progress = Callable[[str, str], None]
PAGE = 1_000
BESIDE_TYPES = frozenset({"tombstones", "transactions"})
_encode = msgspec.json.Encoder(order="deterministic").encode


class FoldedLog(NamedTuple):
    """`cloud` and `epoch` of the log, what it folds to, and what a restore of an earlier one may not bring back."""

    cloud: str
    epoch: str
    log: Folded
    revocations: Revocations


class _Folding:
    """What `refill` fills: the graph, and beside it what the list of revocations is made of."""

    def __init__(self, graph: SqliteGraph) -> None:
        self.graph, self.directory, self.forgotten = graph, Directory(builtin_catalog()), Forgotten()

    @property
    def checkpoint(self) -> Checkpoint:
        return self.graph.checkpoint

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        self.forgotten.read(events)
        await self.directory.apply(epoch, events)
        return await self.graph.apply(epoch, events)


async def fold_log(nats: Path, progress: Progress, *, work: Path | None = None) -> FoldedLog:
    """`nats`: a folder whose `jetstream/` is the copied log; a server runs on it meanwhile. `work`: a folder with room for
    the graph. Raises `Unavailable` if the log does not open, `Corrupt` if it can't be folded."""
    async with (
        open_server(ServerSettings(nats)) as server,
        open_store(ConnectionSettings(server.url, server.core)) as store,
    ):
        with tempfile.TemporaryDirectory(dir=work, prefix="fold-") as scratch:
            graph = await open_sqlite_graph(Path(scratch) / "graph.sqlite", builtin_catalog())
            try:
                cloud, folding = cloud_of(store.id_key), _Folding(graph)
                folded = await _fold(store, folding, progress)
                listed = revocations(cloud, folding.directory, folding.forgotten)
                return FoldedLog(cloud, store.epoch, folded, listed)
            finally:
                await graph.close()


async def _fold(store: EventStore, folding: _Folding, progress: Progress) -> Folded:
    graph, count, last = folding.graph, 0, await store.last_sequence()

    def folded(more: int, at: int) -> None:
        nonlocal count
        count += more
        progress("folding", f"{at:,} of {last:,} events")

    await graph.begin_filling()  # never ended: only its pages are read
    await refill(store, folding, last, folded)
    entities, digest = await _digest(graph)
    at = graph.checkpoint
    return Folded(at.sequence, count, f"{at.hash:x}", entities, digest, fold_version())


async def _digest(graph: SqliteGraph) -> tuple[dict[str, int], str]:
    """The number of entities by type, and a hash over everything."""
    counts: dict[str, int] = {}
    digest = hashlib.sha256(_encode(graph.catalog.to_json()))
    for section in sorted(graph.sections):
        after, page = "", dict[str, Any]()
        digest.update(section.encode())
        while page := await graph.page(section, after, PAGE):
            digest.update(_encode(page))
            if section not in BESIDE_TYPES:
                counts[section] = counts.get(section, 0) + len(page)
            if len(page) < PAGE:
                break
            after = list(page)[-1]
    return counts, digest.hexdigest()


def fold_version() -> str:
    """Changes with the fold and with core's own types."""
    types = hashlib.sha256(_encode(builtin_catalog().to_json())).hexdigest()[:12]
    return f"{SqliteGraph.version}-{types}"
