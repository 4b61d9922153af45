"""What a process gives up before it touches untrusted bytes: environment, descriptors, and the system calls that reach
anything else.

It keeps its memory, the descriptors in `keep`, and threads. There is no way back.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Collection
from pathlib import Path

from pcloud import allowed_calls, landlock

__all__ = ["confine", "missing"]

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
DESCRIPTORS = 32


def confine(keep: Collection[int]) -> None:
    """Give up everything except the descriptors `keep`. Raises `OSError` if the kernel refuses what it has.

    The standard streams lead to /dev/null from then on.
    """
    os.environ.clear()
    _close_others(keep)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs can't be set")
    if landlock.version():
        landlock.deny_all()
    if allowed_calls.is_available():
        allowed_calls.install()


def missing() -> str:
    """What this machine lacks for a whole confinement, in a sentence; "" where nothing is missing."""
    if allowed_calls.is_available():
        return ""
    if known := landlock.version():
        network = "UDP and Unix sockets" if known >= landlock.TCP_SINCE else "the network"
        return (
            "system calls can't be filtered on this machine, so they open no file, but can start processes, change the "
            f"mode and owner of files, and use {network}"
        )
    return (
        "this machine has neither a filter of system calls nor Landlock, so they only lack open files and environment"
    )


def _close_others(keep: Collection[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:  # the listing's own, which is closed by now
                continue
