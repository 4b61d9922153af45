"""The system calls that a decoder in a confined process may make: those that compute on memory and on open descriptors.

A call that this list does not know is refused with EPERM. So is everything that opens or changes a file by its name,
or names an address or another process. One call that takes a name is left: newfstatat, by which the C library asks about
an open descriptor. No filter can see whether its path is empty, so it also tells whether a file exists, its size, owner
and times. Threads can be made, processes can't.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

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

__all__ = ["install", "is_available", "program"]

# asm/unistd_64.h and asm-generic/unistd.h; -1 where the architecture does not have the call.
NUMBERS = {
    # open descriptors
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "preadv": (295, 69), "write": (1, 64), "writev": (20, 66),
    "lseek": (8, 62), "fstat": (5, 80), "close": (3, 57), "dup": (32, 23), "dup3": (292, 24), "poll": (7, -1),
    "ppoll": (271, 73), "fadvise64": (221, 223),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226), "madvise": (28, 233),
    "brk": (12, 214),
    # threads
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293), "membarrier": (324, 283),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "gettid": (186, 178), "getcpu": (309, 168),
    # itself
    "exit": (60, 93), "exit_group": (231, 94), "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getrusage": (98, 165), "times": (100, 153),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # clocks, and what the machine is
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, -1), "getrandom": (318, 278), "sysinfo": (99, 179), "uname": (63, 160),
}  # fmt: skip
CLONE, CLONE3, FCNTL, IOCTL, PRCTL, NEWFSTATAT = (56, 220), (435, 435), (72, 25), (16, 29), (157, 167), (262, 79)
KILL, TGKILL, PRLIMIT64 = (62, 129), (234, 131), (302, 261)
CLONE_THREAD = 0x10000
AT_EMPTY_PATH = 0x1000
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC; none of those that send signals.
FCNTL_COMMANDS = (0, 1, 2, 3, 1030)
# PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: threads and the C library's allocator name what they make.
PRCTL_OPTIONS = (15, 16, 0x53564D41)
PR_SET_SECCOMP, MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h


def is_available() -> bool:
    """True if the kernel takes filters, and the system calls of this architecture are known here."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Without a program: a kernel that takes filters can't read it (EFAULT), another one knows no such mode (EINVAL).
    return bool(_machine()) and libc.prctl(PR_SET_SECCOMP, MODE_FILTER, None) < 0 and ctypes.get_errno() == errno.EFAULT


def install() -> None:
    """Put the filter on the calling thread, for ever. It needs `no_new_privs`. Raises `OSError`."""
    filter_ = program(_machine(), os.getpid())
    code = ctypes.create_string_buffer(filter_, len(filter_))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(filter_) // 8, ctypes.addressof(code)))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECCOMP, MODE_FILTER, described) != 0:
        raise OSError(ctypes.get_errno(), "the filter of system calls can't be installed")


def program(machine: str, pid: int) -> bytes:
    """The filter for a process with this number, as an array of `struct sock_filter`."""
    column = list(ARCHITECTURES).index(machine)
    steps = [step(LOAD, ARCHITECTURE), step(EQUAL, ARCHITECTURES[machine], 1, 0), step(RETURN, KILL_PROCESS)]
    steps += [step(LOAD, NUMBER)]
    for numbers in NUMBERS.values():
        if numbers[column] >= 0:
            steps += [step(EQUAL, numbers[column], 0, 1), step(RETURN, ALLOW)]
    # The C library uses clone where clone3, whose flags no filter can see, is missing.
    steps += [step(EQUAL, CLONE3[column], 0, 1), fail(errno.ENOSYS)]
    # Python asks whether a file is a terminal: it is not.
    steps += [step(EQUAL, IOCTL[column], 0, 1), fail(errno.ENOTTY)]
    steps += _if(CLONE[column], 0, step(ANY_BIT, CLONE_THREAD, 0, 1))
    steps += _if(NEWFSTATAT[column], 3, step(ANY_BIT, AT_EMPTY_PATH, 0, 1))  # fstat, and stat
    steps += _one_of(FCNTL[column], 1, FCNTL_COMMANDS) + _one_of(PRCTL[column], 0, PRCTL_OPTIONS)
    steps += _one_of(KILL[column], 0, (pid,)) + _one_of(TGKILL[column], 0, (pid,))  # abort()
    steps += _reads_own_limits(PRLIMIT64[column])
    return b"".join([*steps, fail(errno.EPERM)])


def _if(number: int, argument: int, test: bytes) -> list[bytes]:
    """Allow a call if the low half of its argument passes the test, which jumps over one step if not."""
    low = ARGUMENTS + 8 * argument
    return [step(EQUAL, number, 0, 4), step(LOAD, low), test, step(RETURN, ALLOW), fail(errno.EPERM)]


def _one_of(number: int, argument: int, values: tuple[int, ...]) -> list[bytes]:
    tests = [step(EQUAL, value, left, 0) for left, value in zip(range(len(values), 0, -1), values, strict=True)]
    steps = [step(LOAD, ARGUMENTS + 8 * argument), *tests, fail(errno.EPERM), step(RETURN, ALLOW)]
    return [step(EQUAL, number, 0, len(steps)), *steps]


def _reads_own_limits(number: int) -> list[bytes]:
    """prlimit64 of process 0, itself, and without new limits: both halves of that pointer are 0."""
    halves = (ARGUMENTS, ARGUMENTS + 16, ARGUMENTS + 20)
    tests = [one for half in halves for one in (step(LOAD, half), step(EQUAL, 0, 1, 0), fail(errno.EPERM))]
    return [step(EQUAL, number, 0, len(tests) + 1), *tests, step(RETURN, ALLOW)]


def _machine() -> str:
    """The architecture that this process runs as; "" for one that is not known here."""
    machine = platform.machine() if struct.calcsize("P") == 8 else ""  # a 32-bit system may run on a 64-bit kernel
    return machine if machine in ARCHITECTURES else ""
