"""What reading promises: every event, in order, once; from anywhere; to an end or for ever."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from eventstore.wire import digest
from pcloud.errors import Corrupt
from pcloud.event import Change, Kind


async def fill(store, make, count: int) -> None:
    for start in range(0, count, 1000):
        events = [make.event(f"e{number}", n=number) for number in range(start, min(start + 1000, count))]
        await store.append(make.tx(*events))


async def test_an_event_is_read_as_it_was_appended(store, make):
    event = make.event("a", kind=Kind.CREATED, title="Möwe", size=3)
    before = time.time()
    await store.append(make.tx(event, tx="0" * 32, cause="run1", depth=1, request="abc", result={"add": ["a"]}))
    [read] = [found async for found in store.read(1, 1)]
    assert (read.ref, read.kind, read.change) == (event.ref, Kind.CREATED, Change(set={"title": "Möwe", "size": 3}))
    assert (read.tx, read.ordinal, read.total, read.actor, read.cause, read.depth) == (
        "0" * 32,
        1,
        1,
        "owner",
        "run1",
        1,
    )
    assert (read.request, read.result) == ("abc", {"add": ["a"]})
    assert before - 1 < read.time < time.time() + 1
    assert read == await store.last_event(event.ref)


async def test_the_digest_is_of_the_event_and_not_of_its_publishing(store, make):
    await store.append(make.tx(make.event("a", x=1), traceparent="00-aa-bb-01"))
    [event] = [found async for found in store.read(1, 1)]
    message = await store.js.get_msg("GRAPH", 1)
    ours = {
        name: value for name, value in message.headers.items() if name.startswith("Pcloud-") or name == "Nats-Msg-Id"
    }
    assert event.digest == digest(1, message.subject, ours, message.data)
    for other in (
        digest(2, message.subject, ours, message.data),
        digest(1, "graph.photos.Image.b", ours, message.data),
        digest(1, message.subject, ours | {"Pcloud-Actor": "core"}, message.data),
        digest(1, message.subject, ours, message.data + b" "),
    ):
        assert event.digest != other


async def test_reading_keeps_its_bounds(store, make):
    await fill(store, make, 1700)
    assert [event.sequence async for event in store.read(1, 10**9)] == list(range(1, 1701))
    assert [event.sequence async for event in store.read(500, 1400)] == list(range(500, 1401))
    assert [event.sequence async for event in store.read(1700, 1700)] == [1700]
    assert [event.sequence async for event in store.read(1701, 1800)] == []
    assert [event.sequence async for event in store.read(3, 2)] == []


async def test_reading_an_empty_log_or_subject_ends(store, make):
    assert [event async for event in store.read(1, 10)] == []
    await fill(store, make, 3)
    assert [event async for event in store.read(1, 10, subjects=["graph.other.>"])] == []


async def test_reading_by_subject_gives_what_matches(store, make):
    await store.append(make.tx(make.event("a"), make.event("b", type="Face"), make.event("c")))
    await store.append(make.tx(make.event("b", 2, type="Face")))
    subjects = ["graph.photos.Face.*", "graph.photos.Image.a"]
    assert [event.sequence async for event in store.read(1, 10, subjects=subjects)] == [1, 2, 4]


async def test_following_gives_what_is_there_at_most_500_at_once_and_then_what_comes(store, make):
    await fill(store, make, 1200)
    seen: list[int] = []
    async with aclosing(store.follow(100)) as batches:
        async for batch in batches:
            assert len(batch) <= 500
            seen += [event.sequence for event in batch]
            if seen[-1] == 1200:
                answer = await store.append(make.tx(make.event("later")))
            if seen[-1] > 1200:
                break
    assert seen == list(range(101, 1202)) and answer.sequences == (1201,)


async def test_large_events_come_a_few_at_a_time(store, make):
    """However many are asked for: what waits in memory is bounded in bytes as well."""
    for number in range(40):
        await store.append(make.tx(make.event(f"e{number}", text="x" * 900_000)))
    assert [event.sequence async for event in store.read(1, 40)] == list(range(1, 41))


async def test_a_follower_hears_of_an_event_without_delay(store, make):
    heard = asyncio.get_running_loop().create_future()

    async def listen() -> None:
        async for batch in store.follow(0):
            heard.set_result(batch)
            return

    task = asyncio.create_task(listen())
    await store.append(make.tx(make.event("a"), make.event("b")))
    async with asyncio.timeout(2):
        assert (await heard)[0].ref.id == "a"
    await task


async def test_following_leaves_no_consumer_behind(store, make):
    await fill(store, make, 10)
    async with aclosing(store.follow(0)) as batches:
        async for _ in batches:
            break
    assert [event.sequence async for event in store.read(1, 10)]
    assert await store.js.consumers_info("GRAPH") == []


async def test_the_last_event_of_an_entity_is_asked_of_the_leader(store, make):
    await store.append(make.tx(make.event("a")))
    await store.append(make.tx(make.event("a", 1), make.event("b")))
    assert (await store.last_event(make.ref("a"))).sequence == 2
    assert await store.last_event(make.ref("nobody")) is None
    assert await store.last_sequence() == 3


async def test_a_time_has_a_sequence(store, make):
    assert await store.sequence_at(0) == 1
    await store.append(make.tx(make.event("a")))
    await store.append(make.tx(make.event("b")))
    events = [event async for event in store.read(1, 2)]
    assert await store.sequence_at(0) == 1
    assert await store.sequence_at(events[0].time + 1e-5) == 2
    assert await store.sequence_at(time.time() + 60) == 3


async def test_what_pcloud_did_not_write_is_reported_with_its_place(store):
    await store.js.publish("graph.photos.Image.x", b"hello")
    with pytest.raises(Corrupt, match=r"message 1 of GRAPH \(graph.photos.Image.x\)"):
        _ = [event async for event in store.read(1, 1)]
