"""What a server uses of the processor, all of its processes together: what a busy machine changes least."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

__all__ = ["processor_seconds"]


def processor_seconds(pids: Iterable[int]) -> float:
    """Seconds used so far by these processes and everything below them, those that have ended included."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
            if process is root:
                total += times.children_user + times.children_system
    return total
