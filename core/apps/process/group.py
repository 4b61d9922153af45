"""A process group: an app's process and the children that it left in it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

__all__ = ["group_lives", "signal_group"]


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to all of its processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def group_lives(group: int) -> bool:
    """Return True if a member is left that is not a zombie: without an init that reaps orphans, zombies stay."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(_is_member(process, group) for process in psutil.process_iter(["status"]))


def _is_member(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError):
        return False
