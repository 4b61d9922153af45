"""How far each view is behind its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from projections.checkpoint import Checkpoint

__all__ = ["projection_lags"]


Ends = Callable[[], Awaitable[tuple[int, int]]]
"""Returns the newest sequence of the log, and that of the runs."""


class Loop(Protocol):
    @property
    def checkpoint(self) -> Checkpoint: ...


class ProjectionLoops(Protocol):
    @property
    def directory_loop(self) -> Loop: ...
    @property
    def graph_loop(self) -> Loop: ...
    @property
    def search_loop(self) -> Loop: ...
    @property
    def runs_loop(self) -> Loop: ...


async def projection_lags(ends: Ends, projections: ProjectionLoops) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the log's last sequence, and by view its `sequence` and the events that it lacks (`lag`)."""
    loops = {
        "directory": projections.directory_loop,
        "graph": projections.graph_loop,
        "search": projections.search_loop,
    }
    # Before the logs: a view folds what is written while they answer, and would be ahead of them.
    places = {name: loop.checkpoint.sequence for name, loop in (loops | {"runs": projections.runs_loop}).items()}
    last, runs_last = await ends()
    end_of = dict.fromkeys(loops, last) | {"runs": runs_last}
    return last, {name: {"sequence": place, "lag": max(0, end_of[name] - place)} for name, place in places.items()}
