"""Finds the stored state of a run, as the leader of RUNS has it."""

from __future__ import annotations

import logging
from typing import Any

from pcloud.errors import Corrupt
from projections.runs.record import Run, decode_run

__all__ = ["stored_run"]

log = logging.getLogger(__name__)


async def stored_run(runs: Any, run: Run) -> Run | None:
    """The last state of this run that was stored; None when there is none (any more), or none that can be read: then
    the run is made as a new one, and its record replaces that."""
    body = await runs.last(run.app, run.action, run.id)
    try:
        return decode_run(body) if body else None
    except Corrupt as error:
        log.error("%s; the run %s begins anew", error, run.id)
        return None
