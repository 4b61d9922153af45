"""The loop: whole transactions in order, callbacks before waiters, and a clear end after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy

import pytest

from pcloud.errors import Corrupt, Unavailable
from pcloud.event import StoredEvent
from projections.checkpoint import START, Checkpoint
from projections.loop import BATCH, ProjectionLoop
from tests.contracts.projections.shelf import BOOK, Log, create


class Store:
    """A log in memory whose readers receive what `put` has added, list by list."""

    epoch = "e"

    def __init__(self) -> None:
        self.lists: list[list[StoredEvent]] = []
        self.failure: Exception | None = None
        self.closed = False
        self._changed = asyncio.Event()

    def put(self, events: list[StoredEvent]) -> None:
        self.lists.append(events)
        self._changed.set()

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self._changed.set()

    async def last_sequence(self) -> int:
        return max((events[-1].sequence for events in self.lists), default=0)

    async def follow(self, after: int) -> AsyncGenerator[list[StoredEvent], None]:
        given = 0
        try:
            while True:
                while given < len(self.lists):
                    given += 1
                    if wanted := [event for event in self.lists[given - 1] if event.sequence > after]:
                        yield wanted
                if self.failure:
                    raise self.failure
                self._changed.clear()
                await self._changed.wait()
        finally:
            self.closed = True


class Target:
    name, version = "test", 1

    def __init__(self, checkpoint: Checkpoint = START) -> None:
        self.checkpoint = checkpoint
        self.batches: list[list[StoredEvent]] = []
        self.failure: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        await self.free.wait()
        if self.failure:
            raise self.failure
        self.batches.append(list(events))
        self.checkpoint = Checkpoint(epoch, events[-1].sequence, 0)
        return self.checkpoint


@asynccontextmanager
async def running(loop: ProjectionLoop[StoredEvent]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def log() -> Log:
    return Log()


def write(log: Log, count: int) -> list[StoredEvent]:
    return log.write(*(create(f"{BOOK}/b{number}") for number in range(count)))


async def settle() -> None:
    """Let everything run that can run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_transaction_is_held_back_until_its_end_arrives(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    first, second = write(log, 1), write(log, 3)
    async with running(loop):
        store.put(first + second[:2])
        await loop.wait_for(1)
        await settle()
        assert target.batches == [first]
        store.put(second[2:])
        await loop.wait_for(4)
        assert target.batches == [first, second]
    assert store.closed


async def test_transaction_with_a_purged_end_ends_at_the_next(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    headless, other = write(log, 3)[:2], write(log, 1)
    async with running(loop):
        store.put(headless)
        store.put(other)
        await loop.wait_for(4)
    assert [event for batch in target.batches for event in batch] == headless + other


async def test_batches_are_bounded_but_a_large_transaction_stays_whole(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    small = [write(log, 1) for _ in range(BATCH + 10)]
    large = write(log, 2 * BATCH)
    store.put([event for events in small for event in events] + large[:10])
    async with running(loop):
        store.put(large[10:])
        await loop.wait_for(large[-1].sequence)
    assert [len(batch) for batch in target.batches[:-1]] == [BATCH, 10] or len(target.batches[0]) == BATCH
    assert target.batches[-1][-len(large) :] == large
    assert all(batch[-1].ends_transaction for batch in target.batches)


async def test_a_loop_starts_after_its_checkpoint(log: Log) -> None:
    store, target = Store(), Target(Checkpoint("e", 2, 0))
    events = [write(log, 1)[0] for _ in range(4)]
    store.put(events)
    loop = ProjectionLoop(store, target)
    async with running(loop):
        await loop.wait_for(4)
    assert target.batches == [events[2:]]


@pytest.mark.parametrize("checkpoint", [Checkpoint("other", 1, 0), Checkpoint("e", 9, 0)])
async def test_view_of_another_log_is_corrupt(log: Log, checkpoint: Checkpoint) -> None:
    store = Store()
    store.put(write(log, 1))
    with pytest.raises(Corrupt, match="not on the log"):
        await ProjectionLoop(store, Target(checkpoint)).run()


async def test_callbacks_run_in_order_and_before_waiters(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    heard: list[str] = []
    stop = loop.on_applied(lambda events: heard.append(f"one {events[-1].sequence}"))
    loop.on_applied(lambda events: heard.append(f"two {events[-1].sequence}"))
    async with running(loop):
        store.put(write(log, 1))
        await loop.wait_for(1)
        heard.append("waited")
        stop()
        store.put(write(log, 1))
        await loop.wait_for(2)
    assert heard == ["one 1", "two 1", "waited", "two 2"]


async def test_wait_timeout_names_the_views_position(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    async with running(loop):
        store.put(write(log, 1))
        await loop.wait_for(1)
        with pytest.raises(Unavailable, match="at 1 and did not reach 5"):
            await loop.wait_for(5, timeout=0.01)
        await loop.wait_for(1, timeout=0)


async def test_gathering_folds_events_within_its_time_together(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target, gather=0.05)
    folded = asyncio.Event()
    loop.on_applied(lambda _: folded.set())
    async with running(loop):
        for _ in range(5):
            store.put(write(log, 1))
            await settle()
        await folded.wait()
    assert [len(batch) for batch in target.batches] == [5]


async def test_gathering_ends_at_a_waiter_or_a_full_batch(log: Log) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target, gather=3600)
    async with running(loop):
        store.put(write(log, 1))
        await settle()
        assert not target.batches
        await loop.wait_for(1)
        folded = asyncio.Event()
        loop.on_applied(lambda _: folded.set())
        store.put(write(log, 1))
        store.put(write(log, BATCH))
        await folded.wait()
    assert len(target.batches) >= 2


async def test_loop_behind_another_never_passes_it(log: Log) -> None:
    store, first, second = Store(), Target(), Target()
    ahead = ProjectionLoop(store, first)
    loop = ProjectionLoop(store, second, behind=ahead)
    first.free.clear()
    async with running(ahead), running(loop):
        store.put(write(log, 1))
        await settle()
        assert not second.batches
        first.free.set()
        await loop.wait_for(1)
    assert first.batches == second.batches


@pytest.mark.parametrize("where", ["target", "log"])
async def test_failure_ends_the_loop_and_its_waiters_with_the_reason(log: Log, where: str) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    async with running(loop) as task:
        waiting = asyncio.create_task(loop.wait_for(1))
        await settle()
        if where == "log":
            store.fail(Unavailable("the log is gone"))
        else:
            target.failure = Corrupt("the file is damaged")
            store.put(write(log, 1))
        with pytest.raises((Unavailable, Corrupt), match=r"the (log is gone|file is damaged)"):
            await task
        with pytest.raises(Unavailable, match="has stopped"):
            await waiting
        with pytest.raises(Unavailable, match="has stopped"):
            await loop.wait_for(1)


async def test_target_that_can_not_store_now_is_tried_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.loop.AGAIN", 0.0)
    store, target = Store(), Target()
    target.failure = Unavailable("the disk is full")
    loop = ProjectionLoop(store, target)
    async with running(loop) as task:
        store.put(write(log, 1))
        await settle()
        assert not task.done()
        with pytest.raises(Unavailable, match="did not reach 1 within 0 s: the disk is full"):
            await loop.wait_for(1, timeout=0)
        target.failure = None
        await loop.wait_for(1)
        with pytest.raises(Unavailable, match="did not reach 2 within 0 s: try again"):
            await loop.wait_for(2, timeout=0)
    assert target.batches == [log.events]


async def test_a_log_that_does_not_answer_is_waited_for(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.loop.AGAIN", 0.0)
    store, target = Store(), Target()
    answers = [Unavailable("the log does not answer"), Unavailable("the log does not answer")]

    async def last_sequence() -> int:
        if answers:
            raise answers.pop()
        return 1

    store.last_sequence = last_sequence  # type: ignore[method-assign]
    store.put(write(log, 1))
    loop = ProjectionLoop(store, target)
    async with running(loop):
        await loop.wait_for(1)
    assert not answers


async def test_the_reader_is_held_up_while_the_target_is_slow(log: Log) -> None:
    store, target = Store(), Target()
    target.free.clear()
    loop = ProjectionLoop(store, target)
    lists = [[copy(event) for event in write(log, BATCH)] for _ in range(10)]
    async with running(loop):
        for events in lists:
            store.put(events)
        await settle()
        target.free.set()
        await loop.wait_for(log.events[-1].sequence)
    assert [event for batch in target.batches for event in batch] == log.events


@pytest.mark.parametrize("ticks", range(8))
async def test_no_cancellation_is_lost_while_it_gathers(log: Log, ticks: int) -> None:
    """Before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes at the moment of the result; then a
    stopping node waits for its view for ever."""
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target, gather=60)
    task = asyncio.create_task(loop.run())
    store.put(write(log, 1))
    await settle()
    assert target.batches == []
    waiting = asyncio.create_task(loop.wait_for(1))
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("ticks", range(8))
async def test_no_cancellation_is_lost_while_somebody_waits(log: Log, ticks: int) -> None:
    store, target = Store(), Target()
    loop = ProjectionLoop(store, target)
    async with running(loop):
        waiting = asyncio.create_task(loop.wait_for(1))
        await settle()
        store.put(write(log, 1))
        for _ in range(ticks):
            await asyncio.sleep(0)
        asked = waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() == asked
