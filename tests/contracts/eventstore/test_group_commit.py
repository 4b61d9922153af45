"""Group commit under many writers: each is answered once, with its own place; order holds; batches are full; waits are
short."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence

from eventstore import Appended, EventStore, open_store
from eventstore.commit import SOON, TOGETHER
from pcloud.errors import Conflict, Unavailable
from pcloud.event import StoredEvent

WRITERS = 500


async def stored(store: EventStore) -> list[StoredEvent]:
    return [event async for event in store.read(1, 10**9)]


async def batches(store: EventStore, sequences: Sequence[int]) -> Counter[str]:
    """The number of events in each atomic batch; those that came alone are under ''."""
    messages = [await store.js.get_msg("GRAPH", sequence) for sequence in sequences]
    return Counter((message.headers or {}).get("Nats-Batch-Id", "") for message in messages)


async def test_of_500_at_once_each_is_answered_once_and_conflicts_are_refused(store, make):
    """A fifth expect a version that another writer has replaced by then; another fifth have several events; some come
    twice with the same id."""
    tried = [
        make.tx(
            make.event(f"e{number % 400}"), *(make.event(f"e{number}-{part}") for part in range(number % 5 == 0 and 3))
        )
        for number in range(WRITERS)
    ]
    again = tried[::50]
    answers = await asyncio.gather(*(store.append(one) for one in (*tried, *again)), return_exceptions=True)
    events = await stored(store)
    # The first 400 name entities that no earlier one has named; the others come too late.
    first, late, twice = answers[:400], answers[400:WRITERS], answers[WRITERS:]
    assert all(isinstance(answer, Appended) and not answer.repeated for answer in first)
    assert all(isinstance(answer, Conflict) for answer in late)
    by_tx: dict[str, list[StoredEvent]] = {}
    for event in events:
        by_tx.setdefault(event.tx, []).append(event)
    assert by_tx.keys() == {one.tx for one in tried[:400]}
    for transaction, answer in zip(tried[:400], first, strict=True):
        assert tuple(event.sequence for event in by_tx[transaction.tx]) == answer.sequences
        assert [event.ref for event in by_tx[transaction.tx]] == [event.ref for event in transaction.events]
    for transaction, answer in zip(again, twice, strict=True):
        original = answers[tried.index(transaction)]
        if isinstance(original, Appended):
            assert answer.sequences == original.sequences and answer.repeated
        else:
            assert isinstance(answer, Conflict)
    assert len({event.ref for event in events}) == len(events)


async def test_writers_of_one_entity_take_turns_in_order(store, make):
    """500 writers, 20 entities: each takes the version with which the one before it was answered."""

    async def chain(entity: int) -> list[int]:
        versions = [0]
        for _ in range(WRITERS // 20):
            versions.append((await store.append(make.tx(make.event(f"e{entity}", versions[-1])))).sequences[0])
        return versions[1:]

    chains = await asyncio.gather(*(chain(entity) for entity in range(20)))
    found: dict[str, list[int]] = {}
    for event in await stored(store):
        found.setdefault(event.ref.id, []).append(event.sequence)
    assert found == {f"e{entity}": versions for entity, versions in enumerate(chains)}
    assert sum(map(len, chains)) == await store.last_sequence() == WRITERS


async def test_writers_that_come_again_share_full_batches(store, make):
    """Each batch costs the server milliseconds: 64 writers must not be served by two alternating batches of 32."""

    async def write() -> None:
        for _ in range(10):
            await store.append(make.tx(make.event(uuid.uuid4().hex)))

    await asyncio.gather(*(write() for _ in range(64)))
    assert await store.last_sequence() == 640
    sizes = await batches(store, range(200, 641))
    assert sum(sizes[name] for name in sizes if name) / max(1, len([name for name in sizes if name])) > 40


async def test_a_single_writer_after_many_does_not_wait_for_long(store, make):
    await asyncio.gather(*(store.append(make.tx(make.event(uuid.uuid4().hex))) for _ in range(64)))
    began = time.perf_counter()
    await store.append(make.tx(make.event("next")))
    soon = time.perf_counter() - began
    ended = time.perf_counter() + SOON
    while time.perf_counter() < ended:
        await store.append(make.tx(make.event(uuid.uuid4().hex)))
    waited = store._committer._patience
    await store.append(make.tx(make.event("later")))
    assert waited is None and store._committer._patience is None
    assert soon < TOGETHER + 1.0


async def test_closing_sends_those_that_wait_for_a_batch(connection, make):
    async with open_store(connection) as store:
        await asyncio.gather(*(store.append(make.tx(make.event(uuid.uuid4().hex))) for _ in range(64)))
        late = [asyncio.create_task(store.append(make.tx(make.event(f"late{number}")))) for number in range(3)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*late, return_exceptions=True)
    assert all(isinstance(answer, Appended) for answer in answers), answers


async def test_every_waiting_writer_is_answered_when_the_server_dies(server, store, make):
    """Each is answered or refused, and every answered one is stored."""
    tried = [make.tx(make.event(f"e{number}")) for number in range(WRITERS)]
    writing = [asyncio.create_task(store.append(one)) for one in tried]
    await asyncio.sleep(0)
    assert server._process
    server._process.process.kill()
    answers = await asyncio.gather(*writing, return_exceptions=True)
    found = {event.tx: event.sequence for event in await stored(store)}
    for transaction, answer in zip(tried, answers, strict=True):
        if isinstance(answer, Appended):
            assert found.pop(transaction.tx) == answer.sequences[0]
        else:
            assert isinstance(answer, Unavailable)
            found.pop(transaction.tx, None)
    assert not found
