"""What apps know, as triggers read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.graph.command import FoldingLoop
from core.graph.schema import ViewRegistry
from projections.graph.contract import GraphReader

__all__ = ["ReadGraph"]


@dataclass(frozen=True, slots=True)
class ReadGraph:
    """`reader`: answers queries once `loop` has folded the log so far. `views`: what each app may see. `away`: why no run
    may be attempted now, as while the graph or room on the disk is missing; '' if runs may."""

    reader: GraphReader
    loop: FoldingLoop
    views: ViewRegistry
    away: Callable[[], str] = lambda: ""
