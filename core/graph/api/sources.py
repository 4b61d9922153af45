"""What the API reads: the log, the projections that answer, and the loops that say how far they are."""

from __future__ import annotations

from dataclasses import dataclass

from core.graph.api.events import FoldedEvents
from core.graph.api.history import HistoryReader
from core.graph.command import FoldingLoop
from pcloud.revision import Revision
from projections.graph.contract import GraphReader
from projections.search.contract import SearchIndex

__all__ = ["Sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """`directory_loop` folds core's own types, `graph_loop` the apps'. Without a search index, `search` and its loop are None."""

    log: HistoryReader
    graph: GraphReader
    graph_loop: FoldedEvents
    directory_loop: FoldingLoop
    search: SearchIndex | None = None
    search_loop: FoldingLoop | None = None

    @property
    def revision(self) -> Revision:
        """The revision that the graph has reached."""
        return Revision(self.log.epoch, self.graph.checkpoint.sequence)
