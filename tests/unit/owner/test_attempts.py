"""How long wrong credentials have to wait, by a clock that the tests move."""

from __future__ import annotations

import pytest

from core.people.owner.attempts import MOST_SOURCES, Attempts, network_of
from tests.clock import Clock


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(at_once=3, pace=1.0, longest=4.0, clock=clock)


def test_a_few_wrong_ones_are_answered_at_once_and_then_in_turn(attempts: Attempts) -> None:
    assert [attempts.wrong("192.0.2.1", "token") for _ in range(9)] == [0, 0, 0, 1, 2, 3, 4, 4, 4]


def test_a_quiet_while_is_credit_again(attempts: Attempts, clock: Clock) -> None:
    for _ in range(5):
        attempts.wrong("192.0.2.1", "token")
    clock.now += 3
    assert [attempts.wrong("192.0.2.1", "token") for _ in range(2)] == [0, 1]
    clock.now += 60
    assert [attempts.wrong("192.0.2.1", "token") for _ in range(4)] == [0, 0, 0, 1]


def test_other_sources_and_other_kinds_of_credential_do_not_wait(attempts: Attempts) -> None:
    for _ in range(9):
        attempts.wrong("192.0.2.1", "token")
    assert attempts.wrong("192.0.2.2", "token") == attempts.wrong("192.0.2.1", "sign-in") == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("::1", "::/64"), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_addresses_of_one_party_are_one_source(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_remembered_sources_are_bounded(attempts: Attempts) -> None:
    for number in range(MOST_SOURCES + 50):
        attempts.wrong(f"10.0.{number // 250}.{number % 250}", "token")
    assert len(attempts._turns) == MOST_SOURCES
