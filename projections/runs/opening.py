"""Opens the runs projection at a node's start. If it is damaged or of another log, it is made again: RUNS holds each run's
last state."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pcloud.errors import Corrupt
from projections.position import misplaced
from projections.runs.log import RunLog
from projections.runs.projection import RunsProjection, open_runs

__all__ = ["open_runs_on"]

log = logging.getLogger("pcloud.view")


async def open_runs_on(path: Path, source: RunLog) -> RunsProjection:
    """`source`: the log that it is folded from. Raises `Unavailable` if the projection is open elsewhere."""
    try:
        projection = await open_runs(path)
        if not (reason := await misplaced(source, projection.checkpoint)):
            return projection
        await projection.close()
    except Corrupt as error:
        reason = error.message
    log.error("view runs: %s; it is rebuilt", reason)
    await asyncio.to_thread(_remove, path)
    return await open_runs(path)


def _remove(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
