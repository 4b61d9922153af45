"""Finds the stored state of a run, as the leader of RUNS has it."""

from __future__ import annotations

from typing import Any

from projections.runs.record import Run, decode_run

__all__ = ["stored_run"]


async def stored_run(runs: Any, run: Run) -> Run | None:
    """The last state of this run that was stored; None when there is none (any more). Raises `Corrupt`."""
    body = await runs.last(run.app, run.action, run.id)
    return decode_run(body) if body else None
