"""A process that outlives the call that carried the attack."""

import os

__all__ = ["stays_behind"]


def stays_behind() -> bool:
    """Fork: return False in the process of the call, True in a process that has left it, whose output is not waited for."""
    if os.fork():
        return False
    os.setsid()
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    return True
