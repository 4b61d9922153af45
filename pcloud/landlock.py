"""Landlock: the kernel lets a process open, make, remove and execute no file, whichever system call it uses.

It is in Linux 5.13 and later, unless switched off, and the same on every architecture. It also refuses to cut files off
from version 3, TCP from version 4, and abstract sockets and signals to others from version 6. It never refuses to ask
about a file (stat) or to change its mode, owner and times, nor Unix sockets by their path, UDP, new processes, and
descriptors that are open already.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = ["TCP_SINCE", "deny_all", "version"]

# asm-generic/unistd.h, the same everywhere; linux/landlock.h
CREATE_RULESET, RESTRICT_SELF = 444, 446
CREATE_RULESET_VERSION = 1
# By version of Landlock: the rights to files that it knows (13 bits at first, then REFER, TRUNCATE, IOCTL_DEV) …
FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
ALL_FILES = 0xFFFF
# … and since when there are TCP (bind, connect) and scopes (abstract sockets, signals).
TCP_SINCE, SCOPES_SINCE = 4, 6
BOTH = 0b11


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none, or it is switched off."""
    return max(0, _call(CREATE_RULESET, 0, 0, CREATE_RULESET_VERSION))


def deny_all() -> None:
    """Refuse everything that this kernel's Landlock knows, for ever. It needs `no_new_privs`. Raises `OSError`."""
    known = version()
    attributes = struct.pack("=Q", FILES.get(known, ALL_FILES))
    if known >= TCP_SINCE:
        attributes += struct.pack("=Q", BOTH)
    if known >= SCOPES_SINCE:
        attributes += struct.pack("=Q", BOTH)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = _call(CREATE_RULESET, ctypes.addressof(buffer), len(attributes), 0)
    if ruleset < 0 or _call(RESTRICT_SELF, ruleset, 0) < 0:
        raise OSError(ctypes.get_errno(), "Landlock can't be used")
    os.close(ruleset)


def _call(number: int, *arguments: int) -> int:
    return ctypes.CDLL(None, use_errno=True).syscall(number, *[ctypes.c_long(value) for value in arguments])
