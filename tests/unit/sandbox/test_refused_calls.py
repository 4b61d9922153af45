"""The filter of system calls, run by an interpreter of classic BPF."""

from __future__ import annotations

import errno
import socket

import pytest

from core.apps.sandbox.refused_calls import NOT_THERE, NUMBERS, REFUSED, system_call_filter
from pcloud.seccomp import ALLOW, ARCHITECTURES, ERROR, KILL_PROCESS
from tests.bpf import verdict_of

NEWUSER = 0x10000000


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    known = ARCHITECTURES[machine] if architecture is None else architecture
    return verdict_of(system_call_filter(machine), number, *arguments, architecture=known)


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request):
    return request.param


def test_new_user_namespaces_are_refused_and_new_threads_are_not(machine):
    own = NUMBERS[machine]
    for name in ("clone", "unshare"):
        assert verdict(machine, own[name], NEWUSER | 0x11) == ERROR | errno.EPERM
        assert verdict(machine, own[name], 0x3D0F00) == ALLOW


def test_refused_calls_are_refused_and_clone3_is_not_there(machine):
    assert all(verdict(machine, number) == ERROR | errno.EPERM for number in REFUSED[machine].values())
    assert all(verdict(machine, number) == ERROR | errno.ENOSYS for number in NOT_THERE[machine].values())


def test_sockets_are_of_the_sandboxs_own_networks_alone(machine):
    socket_ = NUMBERS[machine]["socket"]
    for family in range(64):
        allowed = family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
        assert verdict(machine, socket_, family) == (ALLOW if allowed else ERROR | errno.EAFNOSUPPORT)


def test_nothing_is_typed_into_a_terminal_and_other_controls_work(machine):
    ioctl = NUMBERS[machine]["ioctl"]
    assert verdict(machine, ioctl, 0, 0x5412) == ERROR | errno.EPERM
    assert verdict(machine, ioctl, 0, 0x541C) == ERROR | errno.EPERM
    assert verdict(machine, ioctl, 0, 0x5401) == ALLOW


def test_every_other_call_is_allowed(machine):
    special = {*NUMBERS[machine].values(), *NOT_THERE[machine].values(), *REFUSED[machine].values()}
    assert all(verdict(machine, number) == ALLOW for number in range(470) if number not in special)


def test_calls_of_another_architecture_end_the_process(machine):
    assert verdict(machine, 1, architecture=0x40000003) == KILL_PROCESS


def test_the_second_numbering_of_x86_64_is_closed():
    assert verdict("x86_64", 0x40000000 | 56, NEWUSER) == ERROR | errno.ENOSYS


def test_unknown_architecture_gets_no_filter():
    assert system_call_filter("sparc") == b""
