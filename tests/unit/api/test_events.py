"""The hub hands out every event once and in order, from memory or from the log, even to a subscriber far behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.api.events import EventHub
from pcloud.event import Change, Kind, StoredEvent
from pcloud.subject import Ref, TypeName
from projections.checkpoint import Checkpoint
from tests.waiting import PATIENCE


class Log:
    """A log in memory that is folded event by event."""

    epoch, id_key = "e", b"k"

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.callback: Callable[[Sequence[StoredEvent]], None] = lambda events: None
        self.reads = 0

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint("e", len(self.events), 0)

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None]) -> Callable[[], None]:
        self.callback = callback
        return lambda: None

    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None:
        assert sequence <= len(self.events)

    def append(self, *types: str) -> None:
        batch = [
            StoredEvent(len(self.events) + n, 0.0, Ref("a", type_, "x"), Kind.UPDATED, Change(), "t", 1, 1, "owner")
            for n, type_ in enumerate(types, 1)
        ]
        self.events += batch
        self.callback(batch)

    async def read(self, first: int, last: int, *, subjects: Sequence[str] = ()) -> AsyncIterator[StoredEvent]:
        self.reads += 1
        (subject,) = subjects
        for event in self.events[first - 1 : last]:
            await asyncio.sleep(0)
            if event.ref.subject.startswith(subject.removesuffix("*")):
                yield event


async def collect(hub: EventHub, after: int, into: list[int]) -> None:
    async for events in hub.stream(TypeName("a", "T"), after):
        assert events
        into += [event.sequence for event in events]
        await asyncio.sleep(0)


@settings(max_examples=60)
@given(
    st.integers(0, 12),
    st.lists(st.tuples(st.lists(st.sampled_from("TU"), min_size=1, max_size=9), st.integers(0, 3)), max_size=8),
    st.lists(st.sampled_from("TU"), max_size=12),
)
def test_nothing_is_lost_or_doubled(after: int, batches: list[tuple[list[str], int]], before: list[str]) -> None:
    async def run() -> None:
        log = Log()
        if before:
            log.append(*before)
        hub = EventHub(log, log, kept=5)
        start = min(after, len(before))
        seen: list[int] = []
        task = asyncio.create_task(collect(hub, start, seen))
        for batch, yields in batches:
            log.append(*batch)
            for _ in range(yields):
                await asyncio.sleep(0)
        wanted = [event.sequence for event in log.events if event.ref.type == "T" and event.sequence > start]
        async with asyncio.timeout(PATIENCE):
            while seen != wanted:
                assert seen == wanted[: len(seen)]
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


async def test_a_subscriber_that_keeps_up_never_touches_the_log() -> None:
    log = Log()
    hub = EventHub(log, log, kept=5)
    seen: list[int] = []
    task = asyncio.create_task(collect(hub, 0, seen))
    for n in range(1, 30):
        log.append("T")
        while len(seen) < n:
            await asyncio.sleep(0)
    assert log.reads == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
