"""Runs as the first program of an app's process and turns into the app or its sandbox: sees to it that it dies with core, that the
kernel ends it before core when memory is short, and that it is counted in its control groups from its first instruction on.

Called as `python -I -S launch.py PARENT GROUPS COMMAND…`, GROUPS being the groups' files, separated by `:`. A process of its own,
because between fork and exec a program with threads may run no Python. Imports nothing of ours; nothing of ours may import it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, groups, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Core may have died before the line above: then nobody is left to send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - the less it imports, the sooner it runs
        file.write("1000")
    for group in filter(None, groups.split(":")):
        try:
            with open(group, "w") as file:  # noqa: PTH123
                file.write("0")
        except OSError as error:
            sys.exit(f"pcloud: the control group {group} can't be joined: {error.strerror}")
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list that core made
    except OSError as error:
        sys.exit(f"pcloud: {command[0]!r} can't be started: {error.strerror}")
