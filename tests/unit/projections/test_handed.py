"""A log that is handed over by the loop ahead: each entry once and in order, with either loop ahead and with losses between them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

import pytest

from projections.handed import HandedLog


class Entry(NamedTuple):
    sequence: int


class Store:
    """A log in memory that counts what has been read from it."""

    epoch = "e"

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.readers = self.read = 0
        self._changed = asyncio.Event()

    def put(self, *sequences: int) -> list[Entry]:
        self.entries += (made := [Entry(sequence) for sequence in sequences])
        self._changed.set()
        return made

    async def last_sequence(self) -> int:
        return self.entries[-1].sequence

    async def follow(self, after: int) -> AsyncGenerator[list[Entry], None]:
        self.readers += 1
        try:
            while True:
                if new := [entry for entry in self.entries if entry.sequence > after][:3]:
                    self.read += len(new)
                    after = new[-1].sequence
                    yield new
                else:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            self.readers -= 1


class Ahead:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[Sequence[Entry]], None]] = []

    def on_applied(self, callback: Callable[[Sequence[Entry]], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def hand(self, entries: Sequence[Entry]) -> None:
        for callback in self.callbacks:
            callback(entries)


class Reader:
    """Reads in the background as far as the test allows."""

    def __init__(self, log: HandedLog[Entry], after: int = 0) -> None:
        self.seen: list[int] = []
        self.leave = asyncio.Event()
        self.leave.set()
        self._task = asyncio.create_task(self._read(log, after))

    async def _read(self, log: HandedLog[Entry], after: int) -> None:
        async with aclosing(log.follow(after)) as entries:
            async for batch in entries:
                self.seen += [entry.sequence for entry in batch]
                await self.leave.wait()

    async def until(self, sequence: int) -> None:
        while not self.seen or self.seen[-1] < sequence:
            assert not self._task.done(), self._task.result()
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def ahead() -> Ahead:
    return Ahead()


async def test_reader_stops_reading_the_log_at_the_handed_over_entries(store: Store, ahead: Ahead) -> None:
    store.put(1, 2, 3, 4)
    reader = Reader(HandedLog(store, ahead))
    await reader.until(4)
    ahead.hand(store.put(5, 6))
    await reader.until(6)
    assert (store.readers, store.read) == (0, 6)
    for first in range(7, 100, 3):
        ahead.hand(store.put(first, first + 1, first + 2))
    await reader.until(99)
    assert reader.seen == list(range(1, 100)) and store.read == 6
    await reader.stop()
    assert not ahead.callbacks


async def test_log_is_read_until_the_loop_ahead_has_folded(store: Store, ahead: Ahead) -> None:
    store.put(*range(1, 50))
    reader = Reader(HandedLog(store, ahead), after=20)
    await reader.until(49)
    assert reader.seen == list(range(21, 50)) and store.readers == 1
    await reader.stop()
    assert store.readers == 0


async def test_gaps_of_a_purge_are_no_loss(store: Store, ahead: Ahead) -> None:
    reader = Reader(HandedLog(store, ahead))
    ahead.hand(store.put(3, 7))
    await reader.until(7)
    ahead.hand(store.put(20))
    ahead.hand(store.put(35, 36))
    await reader.until(36)
    assert reader.seen == [3, 7, 20, 35, 36] and store.readers == 0
    await reader.stop()


async def test_slow_reader_returns_to_the_log_and_misses_nothing(store: Store, ahead: Ahead) -> None:
    reader = Reader(HandedLog(store, ahead, most=10))
    ahead.hand(store.put(1))
    await reader.until(1)
    ahead.hand(store.put(2))
    await reader.until(2)
    assert store.readers == 0
    reader.leave.clear()
    for sequence in range(3, 200):
        ahead.hand(store.put(sequence))
        await asyncio.sleep(0)
    reader.leave.set()
    await reader.until(199)
    assert reader.seen == list(range(1, 200)) and store.read > 100
    ahead.hand(store.put(200))
    await reader.until(200)
    ahead.hand(store.put(201))
    await reader.until(201)
    assert reader.seen == list(range(1, 202)) and store.readers == 0
    await reader.stop()


async def test_split_transaction_is_delivered_once(store: Store, ahead: Ahead) -> None:
    """The log is read in threes, and the handed-over part begins in the middle of one."""
    made = store.put(1, 2, 3, 4, 5)
    reader = Reader(HandedLog(store, ahead))
    await reader.until(3)
    ahead.hand(made[1:])
    await reader.until(5)
    assert reader.seen == [1, 2, 3, 4, 5]
    await reader.stop()


@pytest.mark.parametrize("seed", range(30))
async def test_each_entry_comes_once_and_in_order_at_any_pace(store: Store, ahead: Ahead, seed: int) -> None:
    chance = random.Random(seed)
    reader = Reader(HandedLog(store, ahead, most=chance.choice((1, 5, 50))))
    sequence, waiting = 0, list[Entry]()
    while sequence < 500:
        new = [sequence := sequence + chance.choice((1, 1, 1, 4)) for _ in range(chance.randrange(1, 6))]
        waiting += store.put(*new)
        if chance.random() < 0.6:
            ahead.hand(waiting)
            waiting = []
        (reader.leave.clear if chance.random() < 0.3 else reader.leave.set)()
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    reader.leave.set()
    ahead.hand(waiting or store.put(sequence := sequence + 1))
    await reader.until(sequence)
    assert reader.seen == [entry.sequence for entry in store.entries]
    await reader.stop()
