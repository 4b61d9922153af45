"""The server stores a transaction, its acknowledgement never arrives, and another writer is faster than the second
attempt."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import ConnectionSettings, StoreSettings, open_store
from pcloud.errors import Conflict


@pytest.fixture
async def behind(wire, server):
    """A store whose answers can get lost."""
    async with open_store(
        ConnectionSettings(wire.url, server.core), settings=StoreSettings(duplicate_window=0.1)
    ) as opened:
        yield opened


async def stored(store, ref) -> int:
    """Wait until the entity has an event; its sequence."""
    while (event := await store.last_event(ref)) is None:
        await asyncio.sleep(0.01)
    return event.sequence


@pytest.mark.parametrize("events", [1, 3], ids=["alone", "batch"])
async def test_stored_transaction_is_found_after_later_writes(store, behind, wire, make, events):
    """The entity's last event is another writer's by then: a check of only the last event would call this a conflict."""
    transaction = make.tx(*(make.event(f"a{number}") for number in range(events)))
    wire.deaf = True
    appending = asyncio.create_task(behind.append(transaction))
    last = await stored(store, make.ref("a0"))
    for number in range(events):
        event = await store.last_event(make.ref(f"a{number}"))
        for _ in range(3):
            answer = await store.append(make.tx(make.event(f"a{number}", event.sequence)))
            event = await store.last_event(make.ref(f"a{number}"))
    assert event.tx != transaction.tx
    wire.deaf = False
    wire.cut()
    appended = await appending
    assert appended.sequences == tuple(range(1, events + 1)) and last == 1
    assert appended.revision.sequence == events
    # And it is stored once.
    assert [event.tx async for event in store.read(1, answer.sequences[-1])].count(transaction.tx) == events


async def test_a_group_whose_acknowledgement_is_lost_is_resolved_one_by_one(store, behind, wire, make):
    transactions = [make.tx(make.event(f"g{number}")) for number in range(60)]
    wire.deaf = True
    appending = [asyncio.create_task(behind.append(transaction)) for transaction in transactions]
    first = await stored(store, make.ref("g0"))
    intruder = await store.append(make.tx(make.event("g0", first)))
    wire.deaf = False
    wire.cut()
    answers = [await task for task in appending]
    places = {event.tx: event.sequence async for event in store.read(1, 10**9)}
    assert len(places) == 61 and intruder.sequences[0] in places.values()
    assert [answer.sequences for answer in answers] == [(places[transaction.tx],) for transaction in transactions]


async def test_transaction_that_never_arrived_is_a_late_conflict(store, behind, wire, make):
    """The search must not find a transaction that is not on the log, either."""
    wire.mute = True
    appending = asyncio.create_task(behind.append(make.tx(make.event("a"))))
    while not wire.swallowed:
        await asyncio.sleep(0.01)
    await store.append(make.tx(make.event("a")))
    wire.mute = False
    wire.cut()
    with pytest.raises(Conflict):
        await appending
    assert await store.last_sequence() == 1
