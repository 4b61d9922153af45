"""Becomes weed, after asking the kernel to kill it when the app dies: `leash.py PARENT-PID WEED ARG…`.

Run as a plain script by an isolated Python, not imported: it must start fast, and `exec` leaves nothing of it behind. A
server that outlived its app would hold the data folder and the ports without supervision. kill -9 loses nothing that
weed has acknowledged.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):  # it died before the kernel was asked
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is wanted)
