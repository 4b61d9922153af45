"""Finds the stored state of a run, from the leader of RUNS."""

from __future__ import annotations

import logging

from eventstore import RunStore
from pcloud.errors import Corrupt
from projections.runs.record import Run, decode_run

__all__ = ["stored_run"]

log = logging.getLogger(__name__)


async def stored_run(runs: RunStore, run: Run) -> Run | None:
    """Return the last stored state of this run; None if it does not exist (any more) or can't be read: then
    the run is made as a new one, and its record replaces the old one."""
    body = await runs.last(run.app, run.action, run.id)
    try:
        return decode_run(body) if body else None
    except Corrupt as error:
        log.error("%s; the run %s starts again", error, run.id)
        return None
