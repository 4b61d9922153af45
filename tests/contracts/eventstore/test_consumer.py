"""The contract of a durable consumer of events: at least once, a place that stays, pause and rewind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from eventstore import open_store
from pcloud.errors import NotFound, Rejected, Unavailable
from tests.waiting import PATIENCE

ALL = ["graph.>"]


async def take(consumer, count: int, *, ack: bool = True, batch: int = 64) -> list:
    """The next deliveries, settled."""
    taken: list = []
    async with asyncio.timeout(PATIENCE), aclosing(consumer.pull(batch)) as deliveries:
        async for delivery in deliveries:
            taken.append(delivery)
            if ack:
                await delivery.ack()
            if len(taken) == count:
                return taken
    return taken


def sequences(deliveries: list) -> list[int]:
    return [delivery.event.sequence for delivery in deliveries]


async def fill(store, make, count: int) -> None:
    await store.append(make.tx(*(make.event(f"{make.tx(make.event('a')).tx}-{n}") for n in range(count))))


@pytest.mark.parametrize(("start", "first"), [("all", 1), (3, 3), ("new", 6)])
async def test_a_new_consumer_starts_at_the_given_place(store, make, start, first):
    await fill(store, make, 5)
    consumer = await store.consumer("trigger_a_t_live", subjects=ALL, start=start)
    await fill(store, make, 2)
    assert sequences(await take(consumer, 8 - first)) == list(range(first, 8))


async def test_an_invalid_start_is_refused(store):
    with pytest.raises(Rejected, match="yesterday"):
        await store.consumer("c", subjects=ALL, start="yesterday")


async def test_an_existing_consumer_keeps_its_place_and_takes_new_settings(store, connection, make, until):
    await fill(store, make, 5)
    consumer = await store.consumer("c", subjects=ALL, start="all", metadata={"generation": "1"})
    assert sequences(await take(consumer, 2)) == [1, 2]
    async with open_store(connection) as other:
        same = await other.consumer("c", subjects=["graph.photos.>"], start="new", ack_wait=5, metadata={"more": "x"})
        await until(lambda: at(same, ack_floor=2))
        # The events that the first one had pulled ahead were given back, so they may come in another order.
        assert sorted(sequences(await take(same, 3))) == [3, 4, 5]
        config = (await other.js.consumer_info("GRAPH", "c")).config
        assert (config.ack_wait, config.filter_subjects or [config.filter_subject]) == (5, ["graph.photos.>"])
        assert config.metadata["generation"] == "1" and config.metadata["more"] == "x"


async def at(consumer, **wanted: int) -> bool:
    position = await consumer.position()
    return all(getattr(position, name) == value for name, value in wanted.items())


async def test_an_acknowledged_event_does_not_come_again(store, make, until):
    await fill(store, make, 3)
    consumer = await store.consumer("c", subjects=ALL, start="all", ack_wait=0.2)
    await take(consumer, 3)
    await until(lambda: at(consumer, ack_floor=3, ack_pending=0, pending=0, delivered=3))


async def test_an_event_that_is_not_acknowledged_in_time_comes_again(store, make):
    await fill(store, make, 1)
    consumer = await store.consumer("c", subjects=ALL, start="all", ack_wait=0.2)
    first, again = await take(consumer, 2, ack=False)
    assert (first.event.sequence, first.attempt, again.event.sequence, again.attempt) == (1, 1, 1, 2)


async def test_an_event_that_is_given_back_comes_again_after_its_delay(store, make):
    await fill(store, make, 1)
    consumer = await store.consumer("c", subjects=ALL, start="all", ack_wait=30)
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(PATIENCE), aclosing(consumer.pull()) as deliveries:
        await (await anext(deliveries)).nak()
        again = await anext(deliveries)
        assert again.attempt == 2
        start = clock()
        await again.nak(0.3)
        last = await anext(deliveries)
        assert last.attempt == 3 and clock() - start > 0.25


async def test_events_in_progress_and_waiting_ones_do_not_come_again(store, make):
    await fill(store, make, 3)
    consumer = await store.consumer("c", subjects=ALL, start="all", ack_wait=0.4)
    seen: list = []
    async with asyncio.timeout(PATIENCE), aclosing(consumer.pull()) as deliveries:
        async for delivery in deliveries:
            for _ in range(6):  # longer than ack_wait for each: the others wait here meanwhile
                await asyncio.sleep(0.1)
                await delivery.in_progress()
            await delivery.ack()
            seen.append((delivery.event.sequence, delivery.attempt))
            if len(seen) == 3:
                break
    assert seen == [(1, 1), (2, 1), (3, 1)]


async def test_events_that_were_pulled_and_not_handled_are_given_back(store, make):
    await fill(store, make, 10)
    consumer = await store.consumer("c", subjects=ALL, start="all", ack_wait=30)
    await take(consumer, 1)
    assert sorted(sequences(await take(consumer, 9))) == list(range(2, 11))


async def test_two_clients_share_the_events(store, connection, make):
    await fill(store, make, 200)
    consumer = await store.consumer("c", subjects=ALL, start="all")
    seen: list[int] = []
    done = asyncio.Event()

    async def work() -> None:
        async with aclosing(consumer.pull(batch=8)) as deliveries:
            async for delivery in deliveries:
                seen.append(delivery.event.sequence)
                await delivery.ack()
                if len(seen) == 200:
                    done.set()

    tasks = [asyncio.create_task(work()) for _ in range(2)]
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert sorted(seen) == list(range(1, 201))


async def test_a_paused_consumer_delivers_nothing_until_it_is_resumed(store, make):
    consumer = await store.consumer("c", subjects=ALL, start="all", paused=True)
    await fill(store, make, 2)
    assert await consumer.paused() and await at(consumer, delivered=0, pending=2)
    waiting = asyncio.create_task(take(consumer, 2))
    again = await store.consumer("c", subjects=ALL, start="all", ack_wait=7)
    assert await again.paused() and await at(consumer, delivered=0)
    async with asyncio.timeout(3):
        await consumer.resume()
        assert [(delivery.event.sequence, delivery.attempt) for delivery in await waiting] == [(1, 1), (2, 1)]
    await consumer.pause()
    assert await consumer.paused()


async def test_a_rewound_consumer_delivers_everything_from_there_again(store, make, until):
    await fill(store, make, 6)
    consumer = await store.consumer("c", subjects=ALL, start="all")
    await take(consumer, 6)
    await until(lambda: at(consumer, ack_floor=6))
    await consumer.reset(4)
    assert not await consumer.paused()
    assert sequences(await take(consumer, 3)) == [4, 5, 6]


async def test_a_rewind_waits_for_unacknowledged_deliveries(store, make):
    await fill(store, make, 1)
    consumer = await store.consumer("c", subjects=ALL, start="all")
    async with asyncio.timeout(PATIENCE), aclosing(consumer.pull()) as deliveries:
        delivery = await anext(deliveries)
        with pytest.raises(Unavailable, match="1 deliveries of c are still in progress"):
            await consumer.reset(1, patience=0.1)
        rewind = asyncio.create_task(consumer.reset(1))
        await delivery.ack()
        await rewind
        assert (await anext(deliveries)).event.sequence == 1


async def test_a_rewind_of_a_paused_consumer_leaves_it_paused(store, make):
    consumer = await store.consumer("c", subjects=ALL, start="all", paused=True)
    await consumer.reset(1)
    assert await consumer.paused()


async def test_a_consumer_that_began_at_the_end_can_not_be_rewound(store, make):
    consumer = await store.consumer("c", subjects=ALL, start="new")
    with pytest.raises(Rejected):
        await consumer.reset(1)


async def test_pulling_a_deleted_consumer_ends_with_its_name(store, until):
    consumer = await store.consumer("c", subjects=ALL, start="all")
    waiting = asyncio.create_task(take(consumer, 1))

    async def asked() -> bool:
        return (await store.js.consumer_info("GRAPH", "c")).num_waiting == 1

    await until(asked)
    await consumer.delete()
    async with asyncio.timeout(3):
        with pytest.raises(NotFound, match="c of GRAPH"):
            await waiting
    await consumer.delete()
