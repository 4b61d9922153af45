"""Runs as the first program of an app's process and turns into the app: sees to it that the app dies with core.

Called as `python -I -S launch.py PARENT COMMAND…`. A process of its own, because between fork and exec a program
with threads may run no Python. Imports nothing of ours; nothing of ours may import it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Core may have died before the line above: then nobody is left to send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list that core made
    except OSError as error:
        sys.exit(f"pcloud: {command[0]!r} can't be started: {error.strerror}")
