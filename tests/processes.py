"""Whether processes have ended. Where nobody collects orphans, as in many containers, an ended one stays in the table as a zombie."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

__all__ = ["has_ended", "still_running"]


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def still_running(processes: Iterable[psutil.Process], *, seconds: float = 20) -> list[psutil.Process]:
    """Those that have not ended within `seconds`."""
    left, until = list(processes), time.monotonic() + seconds
    while left and time.monotonic() < until:
        left = [process for process in left if not has_ended(process)]
        time.sleep(0.02)
    return left
