"""The contract of `EventStore.append`: all or nothing, each once, no writer overwritten, limits checked before
sending."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from eventstore import ConnectionSettings, EventStore, StoreSettings, Transaction, open_store
from pcloud.errors import Conflict, Rejected
from pcloud.event import Kind
from pcloud.subject import Ref


async def stored(store: EventStore) -> list:
    return [event async for event in store.read(1, 10**9)]


async def test_a_transaction_gets_consecutive_sequences_and_its_last_revision(store, make):
    first = await store.append(make.tx(make.event("a")))
    second = await store.append(make.tx(make.event("b"), make.event("c"), make.event("d")))
    assert (first.sequences, second.sequences) == ((1,), (2, 3, 4))
    assert (second.revision.epoch, second.revision.sequence) == (store.epoch, 4)
    assert not first.repeated and not second.repeated


async def test_an_event_on_the_wire_can_be_read_by_a_person(store, make):
    tx = uuid.uuid4().hex
    await store.append(
        make.tx(
            make.event("a", kind=Kind.CREATED, title="Möwe"), make.event("b"), tx=tx, actor="app:photos", cause="run1",
            depth=2, request="abc", result={"addImage": ["a", "b"]}, traceparent="00-aa-bb-01",
        )
    )  # fmt: skip
    message = await store.js.get_msg("GRAPH", 1)
    assert message.subject == "graph.photos.Image.a"
    assert message.data == '{"v":1,"set":{"title":"Möwe"}}'.encode()
    shown = {name: value for name, value in message.headers.items() if not name.startswith("Nats-Batch")}
    assert shown == {
        "Pcloud-Kind": "created",
        "Pcloud-Tx": f"{tx} 1/2",
        "Pcloud-Request": "abc",
        "Pcloud-Result": '{"addImage":["a","b"]}',
        "Pcloud-Actor": "app:photos",
        "Pcloud-Cause": "run1",
        "Pcloud-Depth": "2",
        "Nats-Msg-Id": f"{tx}.1",
        "Nats-Expected-Last-Subject-Sequence": "0",
        "traceparent": "00-aa-bb-01",
    }
    second = await store.js.get_msg("GRAPH", 2)
    assert "Pcloud-Request" not in second.headers and "Pcloud-Result" not in second.headers


async def test_one_wrong_expectation_refuses_the_whole_transaction(store, make):
    await store.append(make.tx(make.event("b")))
    with pytest.raises(Conflict):
        await store.append(make.tx(make.event("a"), make.event("b", expected=0), make.event("c")))
    assert await store.last_sequence() == 1


async def test_of_many_writers_of_one_version_exactly_one_wins(store, make):
    version = 0
    for _ in range(5):
        results = await asyncio.gather(
            *(store.append(make.tx(make.event("a", version), make.event(uuid.uuid4().hex))) for _ in range(10)),
            *(store.append(make.tx(make.event("a", version))) for _ in range(40)),
            return_exceptions=True,
        )
        won = [result for result in results if not isinstance(result, BaseException)]
        assert len(won) == 1
        assert all(isinstance(result, Conflict) for result in results if isinstance(result, BaseException))
        version = won[0].sequences[0]
    assert [event.sequence async for event in store.read(1, 10**9, subjects=["graph.photos.Image.a"])][-1] == version


async def test_a_deleted_entity_is_made_again_only_over_its_deletion(store, make):
    await store.append(make.tx(make.event("a", kind=Kind.CREATED)))
    deleted = await store.append(make.tx(make.event("a", 1, Kind.DELETED)))
    for expected in (0, 1):
        with pytest.raises(Conflict):
            await store.append(make.tx(make.event("a", expected, Kind.CREATED)))
    await store.append(make.tx(make.event("a", deleted.sequences[0], Kind.CREATED)))


async def test_the_largest_transaction_is_stored_and_a_larger_one_refused(store, make):
    events = [make.event(f"e{number}") for number in range(1000)]
    assert (await store.append(make.tx(*events))).revision.sequence == 1000
    with pytest.raises(Rejected, match="1001"):
        make.tx(*events, make.event("more"))


async def test_an_event_too_large_for_the_server_is_refused_without_harm(store, make):
    with pytest.raises(Rejected, match="object storage"):
        await store.append(make.tx(make.event("a", text="x" * 2**20)))
    with pytest.raises(Rejected, match="object storage"):
        await store.append(make.tx(make.event("b"), result={"ids": ["x" * 2**20]}))
    fits = "x" * (2**20 - 1024)
    assert (await store.append(make.tx(make.event("a", text=fits), make.event("c")))).sequences == (1, 2)
    assert store.nats.is_connected


@pytest.mark.parametrize(
    "wrong",
    [
        {"tx": "abc"},
        {"events": ()},
        {"actor": "owner\r\nPcloud-Actor: core"},
        {"cause": "a\nb"},
        {"request": " abc"},
    ],
)
def test_an_invalid_transaction_is_refused_before_anything_is_sent(make, wrong):
    right = {"tx": uuid.uuid4().hex, "events": (make.event("a"),), "actor": "owner"}
    with pytest.raises(Rejected):
        Transaction(**right | wrong)


def test_two_events_of_one_entity_are_not_a_transaction(make):
    with pytest.raises(Rejected, match="merge"):
        make.tx(make.event("a"), make.event("a"))


async def test_a_repeated_transaction_is_answered_with_its_first_place(store, make):
    for events in ([make.event("a")], [make.event("b"), make.event("c")]):
        transaction = make.tx(*events)
        first = await store.append(transaction)
        await store.append(make.tx(make.event("other" + events[0].ref.id)))
        again = await store.append(transaction)
        assert (again.sequences, again.revision, again.repeated) == (first.sequences, first.revision, True)
    assert await store.last_sequence() == 5


async def test_a_repeated_transaction_is_answered_with_its_stored_events(store, make):
    """A request that is executed again may give its new entities other ids; it must not create them twice."""
    first = make.tx(make.event("a"), make.event("b"), make.event("c"))
    appended = await store.append(first)
    again = await store.append(make.tx(make.event("d"), tx=first.tx))
    assert (again.sequences, again.revision, again.repeated) == (appended.sequences, appended.revision, True)
    with pytest.raises(Conflict, match="written before, with other events"):
        await store.append(make.tx(make.event("e"), make.event("f"), tx=first.tx))
    assert await store.last_sequence() == 3


async def test_the_same_transaction_sent_concurrently_is_stored_once(store, make):
    transaction = make.tx(make.event("a"), make.event("b"))
    answers = await asyncio.gather(*(store.append(transaction) for _ in range(40)))
    assert {answer.sequences for answer in answers} == {(1, 2)}
    assert await store.last_sequence() == 2


async def test_a_transaction_is_found_after_the_server_forgot_its_id(connection, make, until):
    async with open_store(connection, settings=StoreSettings(duplicate_window=0.1)) as store:
        transaction = make.tx(make.event("a"), make.event("b"))
        first = await store.append(transaction)
        await store.append(make.tx(make.event("a", first.sequences[0])))

        async def forgotten() -> bool:
            """The server accepts a message id again: its window is over, for the older ones as well."""
            probe = {"Nats-Msg-Id": "probe"}
            return not (await store.js.publish("graph.photos.Probe.p", b"{}", headers=probe)).duplicate

        await forgotten()
        await until(forgotten)
        again = await store.append(transaction)
        assert (again.sequences, again.repeated) == (first.sequences, True)


async def test_many_at_once_share_batches_and_each_gets_its_own_place(store, make):
    transactions = [
        make.tx(make.event(f"x{number}"), *([make.event(f"y{number}")] if number % 3 == 0 else []))
        for number in range(200)
    ]
    answers = await asyncio.gather(*(store.append(transaction) for transaction in transactions))
    by_sequence = {event.sequence: event for event in await stored(store)}
    for transaction, answer in zip(transactions, answers, strict=True):
        found = [by_sequence.pop(sequence) for sequence in answer.sequences]
        assert [event.ref for event in found] == [event.ref for event in transaction.events]
        assert {event.tx for event in found} == {transaction.tx}
    assert not by_sequence
    batches = {
        (await store.js.get_msg("GRAPH", seq)).headers.get("Nats-Batch-Id", f"alone {seq}") for seq in range(1, 268)
    }
    assert len(batches) < 100


async def test_a_refused_one_takes_none_of_its_batch_with_it(store, make):
    await store.append(make.tx(make.event("x7")))
    answers = await asyncio.gather(
        *(store.append(make.tx(make.event(f"x{number}"))) for number in range(64)), return_exceptions=True
    )
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Conflict)] == [7]
    assert await store.last_sequence() == 64


async def test_two_of_one_entity_never_share_a_batch(store, make):
    """The server would refuse it, and all of its members would be sent alone."""
    answers = await asyncio.gather(
        *(store.append(make.tx(make.event(f"x{number // 2}"))) for number in range(128)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 64
    refs = [event.ref for event in await stored(store)]
    assert len(refs) == len(set(refs)) == 64
    messages = [await store.js.get_msg("GRAPH", sequence) for sequence in range(1, 65)]
    assert sum("Nats-Batch-Id" in message.headers for message in messages) > 32


async def test_another_store_on_the_same_log_has_the_same_epoch_and_key(connection: ConnectionSettings, store, make):
    async with open_store(connection) as other:
        assert (other.epoch, other.id_key) == (store.epoch, store.id_key)
        assert store.epoch.isalnum() and len(store.id_key) == 32
        answer = await other.append(make.tx(make.event("a")))
        assert (await store.last_event(Ref("photos", "Image", "a"))).sequence == answer.sequences[0]
