"""Classic BPF as seccomp takes it: the words of which both filters of system calls are made, for a decoder
(`pcloud.allowed_calls`) and for an app in its sandbox (`core.apps.sandbox.refused_calls`).

A filter is an array of `struct sock_filter`: it loads a word of the call (`NUMBER`, `ARCHITECTURE`, an argument), jumps by
what it is, and returns `ALLOW`, `KILL_PROCESS` or an error.
"""

from __future__ import annotations

import struct

__all__ = [
    "ALLOW", "ANY_BIT", "ARCHITECTURE", "ARCHITECTURES", "ARGUMENTS", "EQUAL", "ERROR", "KILL_PROCESS", "LOAD", "NUMBER",
    "RETURN", "fail", "step",
]  # fmt: skip

# linux/audit.h
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# linux/bpf_common.h, linux/seccomp.h
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERROR, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
# Where `struct seccomp_data` has them; the low half of an argument comes first.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16


def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; `if_true` and `if_false`: how many of the following a test skips."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def fail(number: int) -> bytes:
    """The call fails with this errno."""
    return step(RETURN, ERROR | number)
