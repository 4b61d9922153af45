"""Finds and ends processes that a killed node left running.

An app itself dies with core (see `launch`), and so does everything in a sandbox; a child of an unconfined app may
survive. Such a process is recognized by the environment that its app was started with: `PCLOUD_DATA` below this
node's own folder. Control groups stay until they are removed here.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import psutil

from core.apps.sandbox.cell import node_id
from core.apps.sandbox.cgroup import Cgroups
from eventstore.server.ended import wait_ended

__all__ = ["end_leftovers"]

log = logging.getLogger("pcloud.app")


def end_leftovers(folder: Path, cgroups: Cgroups | None = None, *, seconds: float = 5.0) -> int:
    """Kill every process of an app below `folder`, wait until they are gone, and return their number. Removes their control groups too."""
    if cgroups is not None:
        cgroups.clean(node_id(folder))
    found = [process for process in psutil.process_iter() if process.pid != os.getpid() and _belongs(process, folder)]
    for process in found:
        log.warning("ending process %s, left behind by a node that was killed", process.pid)
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue
    wait_ended(found, seconds)
    return len(found)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        data = process.environ().get("PCLOUD_DATA", "")
    except (psutil.Error, OSError):
        return False
    return bool(data) and Path(data).is_relative_to(folder)
