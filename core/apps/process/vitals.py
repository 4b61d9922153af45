"""Measurements of the apps on this node: whether they run, how often they were restarted, how much memory they use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.apps.egress import Tally
from core.apps.process.instance import Instance
from core.apps.process.supervisor import ProcessState

__all__ = ["AppVitals", "resident", "vitals_of"]

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class AppVitals:
    """`up`: it runs and is ready. `memory` in bytes; shared memory counts for each process. `restarts`, `dropped` (lines
    of its log): since the node started or the owner last started the app. `outside`: its traffic with outside hosts
    since the node's start."""

    name: str
    up: bool
    memory: int
    processes: int
    restarts: int
    dropped: int
    outside: Tally = field(default_factory=Tally)


def vitals_of(instance: Instance) -> AppVitals:
    """Reads /proc: call it in a thread."""
    supervisor, pids = instance.supervisor, instance.processes()
    if supervisor is None:
        return AppVitals(instance.app.name, False, 0, 0, 0, 0, instance.outside)
    up = instance.condition[0] in (ProcessState.RUNNING, "degraded")
    restarts = max(0, supervisor.starts - 1)
    return AppVitals(instance.app.name, up, resident(pids), len(pids), restarts, supervisor.dropped, instance.outside)


def resident(pids: Iterable[int]) -> int:
    """Bytes in memory (resident set size, see proc(5)); processes that have ended count as 0."""
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return total
