"""The decoders' filter of system calls, run by an interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct

import pytest

from pcloud import allowed_calls
from pcloud.seccomp import ALLOW, ARCHITECTURES, ERROR, KILL_PROCESS
from tests.bpf import verdict_of

REFUSED = ERROR | errno.EPERM
PID = 4711
SPECIAL = ("CLONE", "CLONE3", "FCNTL", "IOCTL", "PRCTL", "NEWFSTATAT", "KILL", "TGKILL", "PRLIMIT64")
# asm/unistd_64.h, asm-generic/unistd.h
FORBIDDEN = {
    "execve": (59, 221), "execveat": (322, 281), "openat": (257, 56), "openat2": (437, 437), "socket": (41, 198),
    "socketpair": (53, 199), "connect": (42, 203), "sendto": (44, 206), "sendmsg": (46, 211), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "seccomp": (317, 277),
    "pidfd_getfd": (438, 438), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "memfd_create": (319, 279),
    "name_to_handle_at": (303, 264), "unlinkat": (263, 35), "statx": (332, 291), "truncate": (76, 45),
    "setrlimit": (160, 164), "mount": (165, 40), "shmget": (29, 194), "mq_open": (240, 180), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "timer_create": (222, 107), "setitimer": (38, 103), "keyctl": (250, 219),
}  # fmt: skip


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    known = ARCHITECTURES[machine] if architecture is None else architecture
    return verdict_of(allowed_calls.program(machine, PID), number, *arguments, architecture=known)


def number(machine: str, name: str) -> int:
    return getattr(allowed_calls, name)[list(ARCHITECTURES).index(machine)]


def test_every_call_that_is_not_listed_is_refused(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    listed = {numbers[column] for numbers in allowed_calls.NUMBERS.values()}
    special = {number(machine, name) for name in SPECIAL}
    for call in range(600):
        if call not in special:
            assert verdict(machine, call, 2**32 - 1) == (ALLOW if call in listed else REFUSED)
    assert all(verdict(machine, numbers[column]) == REFUSED for numbers in FORBIDDEN.values())


def test_threads_are_made_and_processes_are_not(machine: str) -> None:
    clone = number(machine, "CLONE")
    assert verdict(machine, clone, 0x3D0F00) == ALLOW  # what pthread_create asks for
    assert verdict(machine, clone, 0x1200011) == REFUSED  # what fork asks for
    assert verdict(machine, number(machine, "CLONE3")) == ERROR | errno.ENOSYS


def test_signals_go_to_itself_alone(machine: str) -> None:
    for name in ("KILL", "TGKILL"):
        assert verdict(machine, number(machine, name), PID) == ALLOW
        for other in (0, 1, PID + 1, 2**32 - PID, 2**32 - 1):
            assert verdict(machine, number(machine, name), other) == REFUSED


def test_no_limit_of_its_own_or_another_is_changed(machine: str) -> None:
    prlimit = number(machine, "PRLIMIT64")
    assert verdict(machine, prlimit, 0, 7, 0, 0x7F0000000000) == ALLOW
    assert verdict(machine, prlimit, 0, 7, 0x7F0000000000) == REFUSED
    assert verdict(machine, prlimit, 0, 7, 0x1000) == REFUSED
    assert verdict(machine, prlimit, PID + 1, 7, 0, 0x7F0000000000) == REFUSED


def test_descriptors_and_threads_have_no_other_controls(machine: str) -> None:
    fcntl, prctl = number(machine, "FCNTL"), number(machine, "PRCTL")
    assert {command for command in range(2000) if verdict(machine, fcntl, 3, command) == ALLOW} == {0, 1, 2, 3, 1030}
    assert {option for option in range(100) if verdict(machine, prctl, option) == ALLOW} == {15, 16}
    assert verdict(machine, number(machine, "IOCTL"), 0, 0x5412) == ERROR | errno.ENOTTY
    stat = number(machine, "NEWFSTATAT")
    assert (verdict(machine, stat, 3, 1, 1, 0x1000), verdict(machine, stat, -100 % 2**64)) == (ALLOW, REFUSED)


def test_other_numberings_are_closed(machine: str) -> None:
    assert verdict(machine, 1, architecture=0x40000003) == KILL_PROCESS
    assert verdict(machine, 0x40000000) == REFUSED


@pytest.mark.parametrize(("told", "pointer"), [("sparc64", "P"), ("aarch64", "I")])
def test_an_architecture_that_is_not_known_gets_no_filter(
    monkeypatch: pytest.MonkeyPatch, told: str, pointer: str
) -> None:
    sizes = struct.calcsize
    monkeypatch.setattr(allowed_calls.platform, "machine", lambda: told)
    monkeypatch.setattr(allowed_calls.struct, "calcsize", lambda _: sizes(pointer))
    assert not allowed_calls.is_available()
