"""An interpreter of the classic BPF of which seccomp filters are made."""

from __future__ import annotations

import struct

from pcloud.seccomp import EQUAL, LOAD, RETURN

__all__ = ["verdict_of"]


def verdict_of(filter_: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the kernel would do with a call."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=iIQ6Q", number, architecture, 0, *padded)
    program = [struct.unpack_from("=HBBI", filter_, at) for at in range(0, len(filter_), 8)]
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == RETURN:
            return value
        if code == LOAD:
            accumulator = struct.unpack_from("=I", data, value)[0]
        else:
            met = accumulator == value if code == EQUAL else bool(accumulator & value)
            at += if_true if met else if_false
