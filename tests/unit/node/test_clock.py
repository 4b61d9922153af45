"""When the clock of a machine is wrong, and when it is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import core.node.clock
from core.node.clock import RELEASED, Clock, is_synchronized, shown

DAY = 86_400.0


class Store:
    """A log whose newest event is from `newest`; 0: it is empty."""

    def __init__(self, newest: float) -> None:
        self.newest, self.held = newest, "not looked at"

    async def newest_time(self) -> float:
        return self.newest

    def hold_writes(self, reason: str) -> None:
        self.held = reason


def clock(store: Store, now: float, *, trusted: bool = False, synchronized: bool = False) -> Clock:
    anything: Any = store
    return Clock(anything, trusted=trusted, now=lambda: now, synchronized=lambda: synchronized)


@pytest.mark.parametrize(
    ("newest", "now", "words"),
    [
        (0.0, RELEASED - DAY, "the release of this program"),
        (0.0, 0.0, "1970-01-01"),
        (RELEASED + 9 * DAY, RELEASED + 8 * DAY, shown(RELEASED + 9 * DAY)),
        (RELEASED + 9 * DAY, RELEASED + 9 * DAY - 301, "the newest event"),
    ],
)
async def test_a_clock_before_what_has_happened_holds_all_writes(newest: float, now: float, words: str) -> None:
    store = Store(newest)
    await clock(store, now).look()
    assert words in store.held and "--trust-clock" in store.held


@pytest.mark.parametrize(
    ("newest", "now", "options"),
    [
        (0.0, RELEASED, {}),
        (RELEASED + DAY, RELEASED + DAY - 299, {}),
        (RELEASED + DAY, RELEASED + 2 * DAY, {}),
        (RELEASED + 900 * DAY, RELEASED + DAY, {"synchronized": True}),
        (RELEASED + 900 * DAY, RELEASED + DAY, {"trusted": True}),
    ],
)
async def test_a_clock_that_can_be_right_holds_nothing(newest: float, now: float, options: dict[str, bool]) -> None:
    store = Store(newest)
    looked = clock(store, now, **options)
    await looked.look()
    assert store.held == ""
    async with asyncio.timeout(1):
        await looked.until_right()


async def test_a_clock_that_never_becomes_right_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.node.clock, "LONGEST_SECONDS", 0.0)
    store = Store(0.0)
    looked = clock(store, 0.0)
    await looked.look()
    assert store.held
    await looked.until_right()
    assert store.held == ""


def test_the_kernel_says_whether_its_clock_is_synchronized() -> None:
    assert is_synchronized() in (True, False)
