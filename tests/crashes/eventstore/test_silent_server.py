"""The server is stopped and keeps its connections: requests are refused at once, readers and consumers wait, and all goes on.

The store notices a silence soon, so on a busy machine it may notice one that the test did not make: requests that have to succeed are
made as a start makes them, and wait for its end.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import Context

import psutil
import pytest

from eventstore import ConnectionSettings, EmbeddedServer, EventStore, open_store
from pcloud.errors import Unavailable
from tests.waiting import until

SILENT = "has not answered"
MANY = 400


@pytest.fixture
async def impatient(server: EmbeddedServer) -> AsyncIterator[EventStore]:
    async with open_store(ConnectionSettings(server.url, server.core, patience=4.0)) as opened:
        yield opened


@asynccontextmanager
async def stopped(server: EmbeddedServer) -> AsyncIterator[None]:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_silence_is_known_and_over_by_itself(server, impatient):
    before = impatient.silences
    async with stopped(server):
        await until(lambda: SILENT in impatient.problem)
    await until(lambda: impatient.problem == "")
    assert impatient.silences > before


async def test_requests_are_refused_at_once_and_say_whether_anything_was_stored(server, impatient, make):
    async with stopped(server):
        under_way = [asyncio.create_task(impatient.append(make.tx(make.event(f"early{n}")))) for n in range(20)]
        await until(lambda: SILENT in impatient.problem)
        for attempt in under_way:
            with pytest.raises(Unavailable, match=r"unknown.*idempotency key|nothing is stored"):
                await attempt
        for refused in (
            lambda: impatient.append(make.tx(make.event("late"), urgent=True)),
            lambda: impatient.work.put("photos", "shrink", "a", b"{}"),
            lambda: impatient.runs.put("photos", "shrink", "a", b"{}"),
            lambda: impatient.erasure.begin("a", [make.ref("a")]),
            impatient.last_sequence,
            impatient.audit_range,
            lambda: impatient.last_event(make.ref("late")),
            lambda: read_all(impatient),
            lambda: impatient.archives.put("a", b"archive"),
        ):
            with pytest.raises(Unavailable, match=SILENT):
                await refused()
    with impatient.starting():
        assert await impatient.last_event(make.ref("late")) is None
        assert await impatient.work.put("photos", "shrink", "a", b"")


async def test_transactions_under_way_are_not_sent_to_a_silent_server(server, impatient, make):
    async with stopped(server):
        under_way = [asyncio.create_task(impatient.append(make.tx(make.event(f"many{n}")))) for n in range(MANY)]
        await until(lambda: SILENT in impatient.problem)
        before = impatient.nats.stats["out_msgs"]
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in outcomes)
        # Only the questions whether it answers.
        assert impatient.nats.stats["out_msgs"] - before < MANY / 10


async def read_all(store: EventStore) -> list[object]:
    return [event async for event in store.read(1, 10)]


async def test_readers_and_consumers_wait_and_miss_nothing(server, impatient, make):
    consumer = await impatient.consumer("c", subjects=["graph.>"], start="all")
    seen: list[int] = []
    delivered: list[int] = []

    async def follow() -> None:
        async with aclosing(impatient.follow(0)) as batches:
            async for batch in batches:
                seen.extend(event.sequence for event in batch)

    async def pull() -> None:
        async with aclosing(consumer.pull()) as deliveries:
            async for delivery in deliveries:
                delivered.append(delivery.sequence)
                await delivery.ack()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follow()), group.create_task(pull())]
        with impatient.starting():
            await impatient.append(make.tx(make.event("a")))
        await until(lambda: seen == [1] and set(delivered) == {1})
        async with stopped(server):
            await until(lambda: SILENT in impatient.problem)
            # A reading that begins now waits too.
            late = group.create_task(anext(aiter(impatient.follow(0))))
        with impatient.starting():
            await impatient.append(make.tx(make.event("b")))
        await until(lambda: seen == [1, 2] and sorted(set(delivered)) == [1, 2])
        assert [event.sequence for event in await late]
        for task in tasks:
            task.cancel()


async def test_audit_records_and_starts_wait_for_the_server_and_others_are_refused(server, impatient, make):
    async with stopped(server):
        await until(lambda: SILENT in impatient.problem)
        record = asyncio.create_task(impatient.audit({"kind": "call", "actor": "owner"}))
        with impatient.starting():
            asked = asyncio.create_task(impatient.last_sequence())
            written = asyncio.create_task(impatient.append(make.tx(make.event("first"))))
            caller = asyncio.create_task(impatient.append(make.tx(make.event("other"))), context=Context())
            with pytest.raises(Unavailable, match=SILENT):
                await caller
            done, _ = await asyncio.wait([record, asked, written], timeout=1.5)
            assert not done
    assert await asked in (0, 1)
    assert (await written).sequences == (1,)
    await record
    with impatient.starting():
        assert (await impatient.audit_range())[1] == 1


async def test_a_reader_waits_for_a_stream_that_is_refused(impatient, connection, caplog):
    await impatient.js.delete_stream("RUNS")
    reading = asyncio.create_task(anext(aiter(impatient.runs.follow(0))))
    await until(lambda: "RUNS can't be read" in impatient.problem)
    assert "RUNS can't be read" in caplog.text
    async with open_store(connection) as again:  # makes the stream
        await again.runs.put("photos", "shrink", "a", b"{}")
        assert [state.body for state in await reading] == [b"{}"]
    await until(lambda: impatient.problem == "")


async def test_a_reader_that_ends_leaves_no_problem(impatient):
    await impatient.js.delete_stream("RUNS")
    reading = asyncio.create_task(anext(aiter(impatient.runs.follow(0))))
    await until(lambda: "RUNS can't be read" in impatient.problem)
    reading.cancel()
    await asyncio.wait([reading])
    await until(lambda: impatient.problem == "")


async def test_a_refusal_of_the_log_is_unavailable_to_callers(impatient):
    await impatient.js.delete_stream("AUDIT")
    with pytest.raises(Unavailable, match="stream not found") as refused, impatient.starting():
        await impatient.audit_range()
    assert refused.value.code == "UNAVAILABLE"
