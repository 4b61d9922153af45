"""Pauses, slots and order: the parts of a run that need no server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.work.processor import journal as journals
from core.work.processor.backoff import Backoff
from core.work.processor.done_or_failed import resume
from core.work.processor.journal import Journal
from core.work.processor.keyed_order import KeyedOrder
from core.work.processor.slots import Slots
from eventstore.runs import NewState
from pcloud.errors import Unavailable
from projections.runs.record import Run, decode_run
from tests.waiting import PATIENCE


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_are_spread_and_bounded(failures: int, draw: float) -> None:
    backoff = Backoff(first=1, factor=2, longest=60)
    pause = backoff.delay(failures, lambda: draw)
    full = min(60, 2.0 ** min(failures - 1, 10))
    assert full / 2 <= pause <= full
    assert pause <= backoff.delay(failures + 1, lambda: draw)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4))
async def test_slots_bound_runs_and_serve_every_waiter(cancelled: list[bool], limit: int) -> None:
    slots, running, most, ended = Slots(limit), 0, 0, 0

    async def work() -> None:
        nonlocal running, most, ended
        async with slots.take():
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0)
            finally:
                running -= 1
            ended += 1

    tasks = [asyncio.create_task(work()) for _ in cancelled]
    await asyncio.sleep(0)
    for task, cancel in zip(tasks, cancelled, strict=True):
        if cancel:
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert most <= limit
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    assert sum(result is None for result in results) >= cancelled.count(False)
    assert not slots.busy


async def test_history_yields_to_live_events_but_never_stops() -> None:
    live = Slots(4)
    history = Slots(4, first=live)
    gate, running, most = asyncio.Event(), 0, 0

    async def old() -> None:
        nonlocal running, most
        async with history.take():
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1

    async with live.take():
        tasks = [asyncio.create_task(old()) for _ in range(6)]
        await asyncio.sleep(0)
        assert running == 1
    await asyncio.sleep(0)
    assert running == 4
    gate.set()
    await asyncio.gather(*tasks)
    assert most == 4


async def test_the_same_thing_happens_in_order_and_others_beside_it() -> None:
    order: KeyedOrder[str] = KeyedOrder()
    seen: list[str] = []

    async def work(key: str, name: str, turns: int) -> None:
        async with order.after_earlier(key):
            for _ in range(turns):
                await asyncio.sleep(0)
            seen.append(name)

    await asyncio.gather(work("a", "a1", 9), work("a", "a2", 1), work("b", "b1", 1), work("a", "a3", 0))
    assert seen == ["b1", "a1", "a2", "a3"]


def test_run_resumes_its_open_attempt_with_its_first_arguments() -> None:
    fresh = Run("r", "app", "act", attempts=5, args={"it": "new"}, created=9.0)
    before = Run("r", "app", "act", state="IN_PROGRESS", attempt=3, args={"it": "old"}, created=1.0)
    assert resume(fresh, before).attempt == 2
    assert resume(fresh, before).args == {"it": "old"}
    waiting = Run("r", "app", "act", state="IN_PROGRESS", attempt=3, next_attempt=5.0)
    assert resume(fresh, waiting).attempt == 3
    assert resume(fresh, None) == fresh
    other = Run("r", "app", "act", state="IN_PROGRESS", attempt=3, generation=1)
    assert resume(fresh, other) == fresh


class Log:
    """The part of RUNS that the journal writes."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.full = False

    async def put(self, app: str, action: str, id: str, body: bytes, ttl: float | None = None) -> Any:
        await asyncio.sleep(0)
        if self.full:
            raise Unavailable("no room")
        self.states.append(decode_run(body).state)

    async def put_all(self, states: Sequence[NewState]) -> Any:
        await asyncio.sleep(0)
        if self.full or any(b"odd" in state.body for state in states):
            raise Unavailable("no room")
        self.states.extend(decode_run(state.body).state for state in states)


async def test_a_quick_run_is_written_once() -> None:
    log = Log()
    journal = Journal(log, delay=0.05, done_ttl=1)
    await journal.begin(Run("r", "app", "act", state="NEW"))
    journal.note(Run("r", "app", "act", state="IN_PROGRESS"))
    await journal.settle(Run("r", "app", "act", state="DONE"))
    assert log.states == ["DONE"]


async def test_a_slow_run_is_seen_on_its_way_and_never_goes_back() -> None:
    log = Log()
    journal = Journal(log, delay=0.0, done_ttl=1)
    await journal.begin(Run("r", "app", "act", state="NEW"))
    async with asyncio.timeout(PATIENCE):
        while not log.states:
            await asyncio.sleep(0)
    journal.note(Run("r", "app", "act", state="IN_PROGRESS"))
    await journal.settle(Run("r", "app", "act", state="DONE"))
    await journal.close()
    assert log.states[-1] == "DONE"
    assert log.states[0] == "NEW"


async def test_runs_that_end_during_a_write_are_written_together() -> None:
    class Counted(Log):
        writes = 0

        async def put(self, *state: Any) -> Any:
            self.writes += 1
            return await super().put(*state)

        async def put_all(self, states: Sequence[NewState]) -> Any:
            self.writes += 1
            return await super().put_all(states)

    log = Counted()
    journal = Journal(log, delay=1, done_ttl=1)
    await asyncio.gather(*(journal.settle(Run(f"r{number}", "app", "act", state="DONE")) for number in range(500)))
    assert (len(log.states), log.writes) == (500, 500 // journals.TOGETHER)
    await journal.close()


async def test_a_state_that_is_refused_keeps_no_other_from_being_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    class Choosy(Log):
        refuses = True

        async def put(self, app: str, action: str, id: str, body: bytes, ttl: float | None = None) -> Any:
            if self.refuses and b"odd" in body:
                raise Unavailable("not this one")
            return await super().put(app, action, id, body, ttl)

    monkeypatch.setattr(journals, "RETRY", 0.01)
    log = Choosy()
    journal = Journal(log, delay=1, done_ttl=1)
    odd = asyncio.create_task(journal.settle(Run("odd", "app", "act", state="FAILED")))
    await asyncio.gather(*(journal.settle(Run(f"r{number}", "app", "act", state="DONE")) for number in range(20)))
    assert log.states == ["DONE"] * 20
    assert not odd.done()
    log.refuses = False
    await odd
    assert log.states[-1] == "FAILED"
    await journal.close()
