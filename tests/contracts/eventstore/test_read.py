"""The contract of reading: every event, in order, once; from any place; to an end or for ever."""

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
        "person:owner",
        "run1",
        1,
    )
    assert (read.request, read.result) == ("abc", {"add": ["a"]})
    assert before - 1 < read.time < time.time() + 1
    assert read == await store.last_event(event.ref)


async def test_the_digest_depends_on_the_event_and_not_on_its_publishing(store, make):
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


async def test_reading_keeps_its_limits(store, make):
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


async def test_reading_by_subject_returns_what_matches(store, make):
    await store.append(make.tx(make.event("a"), make.event("b", type="Face"), make.event("c")))
    await store.append(make.tx(make.event("b", 2, type="Face")))
    subjects = ["graph.photos.Face.*", "graph.photos.Image.a"]
    assert [event.sequence async for event in store.read(1, 10, subjects=subjects)] == [1, 2, 4]


async def test_following_returns_stored_events_in_lists_and_then_new_ones(store, make):
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
    """However many are requested: the bytes that wait in memory are limited as well."""
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


async def test_the_last_event_of_an_entity_is_read_from_the_leader(store, make):
    await store.append(make.tx(make.event("a")))
    await store.append(make.tx(make.event("a", 1), make.event("b")))
    assert (await store.last_event(make.ref("a"))).sequence == 2
    assert await store.last_event(make.ref("unknown")) is None
    assert await store.last_sequence() == 3


async def test_a_time_has_a_sequence(store, make):
    assert await store.sequence_at(0) == 1
    await store.append(make.tx(make.event("a")))
    await store.append(make.tx(make.event("b")))
    events = [event async for event in store.read(1, 2)]
    assert await store.sequence_at(0) == 1
    assert await store.sequence_at(events[0].time + 1e-5) == 2
    assert await store.sequence_at(time.time() + 60) == 3


FOREIGN = {"Pcloud-Kind": "created", "Pcloud-Tx": f"{'0' * 32} 1/1", "Pcloud-Actor": "owner"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (None, b"hello"), (FOREIGN | {"Pcloud-Kind": "eaten"}, b'{"v":1}'), (FOREIGN | {"Pcloud-Tx": "x"}, b'{"v":1}'),
        (FOREIGN, b""), (FOREIGN, b"[]"), (FOREIGN, b"1"), (FOREIGN, b'{"v":0}'), (FOREIGN, b'{"v":1,"set":[1]}'),
        (FOREIGN, b'{"v":1,"set":{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}}"), (FOREIGN, b"\xff\xfe"),
        (FOREIGN | {"Pcloud-Result": "{"}, b'{"v":1}'), (FOREIGN | {"Pcloud-Depth": "deep"}, b'{"v":1}'),
    ],
)  # fmt: skip
async def test_a_foreign_message_changes_nothing_and_stops_no_reader(store, make, caplog, headers, body):
    """It can't be removed from the log, so all readers must pass it, and its entity must stay writable."""
    await store.append(make.tx(make.event("a")))
    await store.js.publish("graph.photos.Image.a", body, headers=headers)
    await store.append(make.tx(make.event("a", 2)))
    events = [event async for event in store.read(1, 3)]
    async with aclosing(store.follow(1)) as batches:
        assert [event async for batch in _until(batches, 3) for event in batch] == events[1:]
    assert [event.sequence for event in events] == [1, 2, 3]
    blank = events[1]
    assert (blank.ref, blank.change.is_empty, blank.ends_transaction) == (make.ref("a"), True, True)
    assert blank.digest and blank.tx not in {events[0].tx, events[2].tx}
    assert "message 2 of GRAPH (graph.photos.Image.a)" in caplog.text


async def test_an_event_of_a_newer_program_is_never_skipped(store):
    await store.js.publish("graph.photos.Image.x", b'{"v":99}', headers=FOREIGN)
    with pytest.raises(Corrupt, match="update PCloud"):
        _ = [event async for event in store.read(1, 1)]


async def _until(batches, last):
    """The batches up to the one with sequence `last`."""
    async for batch in batches:
        yield batch
        if batch[-1].sequence >= last:
            return


@pytest.mark.parametrize("subject", ["graph.x", "graph.a.b.c.d.e"])
async def test_a_subject_outside_the_grammar_stops_no_reader(store, make, subject):
    await store.js.publish(subject, b"hello")
    await store.append(make.tx(make.event("a")))
    events = [event async for event in store.read(1, 2)]
    assert [event.ref for event in events] == [("", "", ""), make.ref("a")]


async def test_a_consumer_passes_a_foreign_message(store, make):
    await store.js.publish("graph.photos.Image.x", b"hello")
    await store.append(make.tx(make.event("a")))
    consumer = await store.consumer("c", subjects=["graph.photos.Image.*"], start="all")
    async with aclosing(consumer.pull()) as deliveries:
        got = []
        async for delivery in deliveries:
            got.append(delivery.event.sequence)
            await delivery.ack()
            if len(got) == 2:
                break
    assert got == [1, 2]


async def test_the_queue_passes_a_foreign_message(store):
    for subject in ("work.photos.a", "work.photos.a.b.c"):
        await store.js.publish(subject, b"hello")
    await store.work.put("photos", "scan", "1", b"job")
    got = []
    async with aclosing(store.work.pull("photos")) as deliveries:
        async for delivery in deliveries:
            got.append((delivery.action, delivery.id))
            await delivery.ack()
            if len(got) == 3:
                break
    assert got[2] == ("scan", "1")
