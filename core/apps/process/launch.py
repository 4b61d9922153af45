"""Runs as the first program of an app's process and then becomes the app or its sandbox. It makes the process die with
core, makes it the kernel's first choice when memory is short, and puts it into its control groups before its first
instruction.

Called as `python -I -S launch.py PARENT GROUPS COMMAND…`; GROUPS are the groups' files, separated by `:`. It is a
separate process because a program with threads must not run Python between fork and exec. It imports none of our
modules, and none of them may import it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, groups, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Core may have died before the line above; then the signal will not arrive.
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
