"""Waits for processes that are not this program's children. An ended process counts as gone even if it is not reaped:
where the first process does not reap, as in many containers, it stays in the table as a zombie."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

__all__ = ["wait_ended"]

LOOK_SECONDS = 0.02


def wait_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return the processes that still run after `seconds`; returns early once all have ended. Blocks."""
    running, until = [process for process in processes if _runs(process)], time.monotonic() + seconds
    while running and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        running = [process for process in running if _runs(process)]
    return running


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
