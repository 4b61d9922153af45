"""Starts a program that ends with this process, also if that is killed."""

from __future__ import annotations

import os
import sys

__all__ = ["ending_with_us"]

# See prctl(2), PR_SET_PDEATHSIG; it lasts over execve.
_LAUNCHER = """
import ctypes, os, signal, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the command is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def ending_with_us(*command: str) -> list[str]:
    """The command line that runs `command`, whose first word is an absolute path. Start it from the main thread: it ends with the
    thread that started it."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
