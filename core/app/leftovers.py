"""Finds and ends what a killed node left running.

An app itself dies with core (see `launch`), but a child that it started may not. Such a process is known by the
environment that its app was started with: `PCLOUD_DATA` below this node's own folder.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import psutil

from eventstore.server.ended import wait_ended

__all__ = ["end_leftovers"]

log = logging.getLogger("pcloud.app")


def end_leftovers(folder: Path, *, seconds: float = 5.0) -> int:
    """Kill every process of an app below `folder` and wait until they are gone; how many there were."""
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
