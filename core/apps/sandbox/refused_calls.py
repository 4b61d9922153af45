"""The system calls that an app in its sandbox may not make: those that apps do not need and that have let programs out of
sandboxes before. All others are allowed.

It is a second line of defence: unless the kernel has a flaw, an app's rights do not reach what the filter refuses.
It matters most for new user namespaces: in one of its own a program has every capability, and with them access to
most of the kernel's code.
"""

from __future__ import annotations

import errno
import platform

from pcloud.seccomp import (
    ALLOW,
    ANY_BIT,
    ARCHITECTURE,
    ARCHITECTURES,
    ARGUMENTS,
    EQUAL,
    KILL_PROCESS,
    LOAD,
    NUMBER,
    RETURN,
    fail,
    step,
)  # fmt: skip

__all__ = ["system_call_filter"]

# asm/unistd.h of each architecture
X32_BIT = 0x40000000
CLONE_NEWUSER = 0x10000000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that a network namespace separates. AF_VSOCK leads out of any namespace
# to the host of a virtual machine, AF_ALG into the kernel's cryptography; apps do not need the others.
FAMILIES = (1, 2, 10, 16)
NUMBERS = {
    "x86_64": {"ioctl": 16, "clone": 56, "unshare": 272, "socket": 41},
    "aarch64": {"ioctl": 29, "clone": 220, "unshare": 97, "socket": 198},
}
NOT_THERE = {
    # clone3 keeps its flags where a filter can't look: if the call fails as unknown, the C library uses clone.
    "x86_64": {"clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
    "aarch64": {"clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
}
REFUSED = {
    "x86_64": {
        "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "open_by_handle_at": 304, "kexec_load": 246,
        "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176, "move_mount": 429,
        "open_tree": 428, "fsopen": 430, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "syslog": 103,
    },
    "aarch64": {
        "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
        "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "open_by_handle_at": 265, "kexec_load": 104,
        "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106, "move_mount": 429,
        "open_tree": 428, "fsopen": 430, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "syslog": 116,
    },
}  # fmt: skip


def system_call_filter(machine: str = "") -> bytes:
    """Return the filter for this machine's architecture, in the form that bubblewrap takes; b"" for an unknown one."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return b""
    program = [
        step(LOAD, ARCHITECTURE), step(EQUAL, ARCHITECTURES[machine], 1, 0), step(RETURN, KILL_PROCESS), step(LOAD, NUMBER),
    ]  # fmt: skip
    if machine == "x86_64":
        program += [step(ANY_BIT, X32_BIT, 0, 1), fail(errno.ENOSYS)]
    for number in NOT_THERE[machine].values():
        program += [step(EQUAL, number, 0, 1), fail(errno.ENOSYS)]
    for number in REFUSED[machine].values():
        program += [step(EQUAL, number, 0, 1), fail(errno.EPERM)]
    own = NUMBERS[machine]
    for name in ("clone", "unshare"):
        program += [
            step(EQUAL, own[name], 0, 4), step(LOAD, ARGUMENTS), step(ANY_BIT, CLONE_NEWUSER, 0, 1),
            fail(errno.EPERM), step(RETURN, ALLOW),
        ]  # fmt: skip
    program += [step(EQUAL, own["socket"], 0, len(FAMILIES) + 3), step(LOAD, ARGUMENTS)]
    program += [
        step(EQUAL, family, left, 0) for left, family in zip(range(len(FAMILIES), 0, -1), FAMILIES, strict=True)
    ]
    program += [fail(errno.EAFNOSUPPORT), step(RETURN, ALLOW)]
    # Typing into a terminal from within.
    program += [
        step(EQUAL, own["ioctl"], 0, 5), step(LOAD, ARGUMENTS + 8), step(EQUAL, TIOCSTI, 1, 0), step(EQUAL, TIOCLINUX, 0, 1),
        fail(errno.EPERM), step(RETURN, ALLOW),
    ]  # fmt: skip
    return b"".join([*program, step(RETURN, ALLOW)])
