"""The processor time of a server, for all of its processes together: it depends least on how busy the machine is."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

__all__ = ["processor_seconds"]


def processor_seconds(pids: Iterable[int]) -> float:
    """Seconds used so far by these processes and all processes below them, including those that have ended."""
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
