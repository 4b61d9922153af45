"""kill -9 of nats-server under writes and reads: no acknowledged event is lost, and no event is stored twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

from eventstore import open_store

KILLS = 4


async def test_acknowledged_events_are_stored_once_and_open_appends_resolved(store, make, kill):
    """Single events, groups, and transactions of several events; an interrupted append is still answered."""
    acknowledged: dict[str, tuple[int, ...]] = {}
    stop = asyncio.Event()

    async def write(writer: int) -> None:
        versions = dict.fromkeys(range(1 + writer % 3), 0)
        while not stop.is_set():
            transaction = make.tx(*(make.event(f"w{writer}-{part}", version) for part, version in versions.items()))
            appended = await store.append(transaction)
            acknowledged[transaction.tx] = appended.sequences
            versions = dict(zip(versions, appended.sequences, strict=True))

    async with asyncio.TaskGroup() as tasks:
        for writer in range(48):
            tasks.create_task(write(writer))
        for _ in range(KILLS):
            before = len(acknowledged)
            while len(acknowledged) < before + 300:
                await asyncio.sleep(0.01)
            await kill()
        stop.set()

    stored: dict[str, list[int]] = {}
    async for event in store.read(1, 10**9):
        stored.setdefault(event.tx, []).append(event.sequence)
    # Every writer saw its last append answered, so the log holds exactly what was acknowledged.
    assert {tx: tuple(sequences) for tx, sequences in stored.items()} == acknowledged


async def test_transaction_is_stored_whole_or_not_at_all(store, make, kill):
    sizes = [2, 50, 400]
    results: list[int] = []

    async def write(number: int) -> None:
        size = sizes[number % len(sizes)]
        await store.append(make.tx(*(make.event(f"t{number}-{part}") for part in range(size))))
        results.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(write(number))
        await asyncio.sleep(0)
        await kill()
        await kill()
    counts: Counter[str] = Counter()
    totals: dict[str, int] = {}
    async for event in store.read(1, 10**9):
        counts[event.tx] += 1
        totals[event.tx] = event.total
    assert counts == totals and len(counts) == len(results) == 60


async def test_a_follower_misses_nothing_and_sees_nothing_twice(store, connection, make, kill):
    async def write() -> None:
        for number in range(600):
            await store.append(make.tx(make.event(f"e{number}")))

    seen: list[int] = []

    async def follow() -> None:
        async with open_store(connection) as reader, aclosing(reader.follow(0)) as batches:
            async for batch in batches:
                seen.extend(event.sequence for event in batch)
                if seen[-1] == 600:
                    return

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        writing = tasks.create_task(write())
        for mark in (100, 300, 500):
            while len(seen) < mark:
                await asyncio.sleep(0.01)
            await kill()
        await writing
    assert seen == list(range(1, 601))


async def test_a_durable_consumer_keeps_its_place(store, make, kill):
    await store.append(make.tx(*(make.event(f"e{number}") for number in range(300))))
    consumer = await store.consumer("c", subjects=["graph.>"], start="all", ack_wait=0.5)
    handled: set[int] = set()
    async with aclosing(consumer.pull(batch=16)) as deliveries:
        async for delivery in deliveries:
            handled.add(delivery.event.sequence)
            await delivery.ack()
            if len(handled) in (50, 150):
                await kill()
            if len(handled) == 300:
                break
    assert handled == set(range(1, 301))


async def test_durable_calls_and_runs_survive(store, kill):
    await asyncio.gather(*(store.work.put("photos", "act", f"c{number}", b"x") for number in range(50)))
    await store.runs.put("photos", "act", "r1", b"IN_PROGRESS")
    await kill()
    ids: set[str] = set()
    async with aclosing(store.work.pull("photos")) as calls:
        async for call in calls:
            ids.add(call.id)
            await call.ack()
            if len(ids) == 50:
                break
    assert await store.runs.last("photos", "act", "r1") == b"IN_PROGRESS"
