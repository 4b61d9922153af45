"""How much may wait for the log, and what happens if there is no room for more."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import ConnectionSettings, EventStore, StoreSettings, open_store
from pcloud.errors import Unavailable
from pcloud.event import Change, Event, Kind
from tests.contracts.eventstore.conftest import Make


async def burst(store: EventStore, make: Make, count: int, text: str = "") -> list[object]:
    """Append this many at once; returns the outcome of each."""
    transactions = [make.tx(make.event(f"i{number}", text=text)) for number in range(count)]
    return list(await asyncio.gather(*(store.append(one) for one in transactions), return_exceptions=True))


@pytest.mark.parametrize(
    ("settings", "text"),
    [(StoreSettings(max_waiting=20), ""), (StoreSettings(max_waiting_bytes=100_000), "x" * 5_000)],
    ids=["by their number", "by their size"],
)
async def test_beyond_a_limit_transactions_are_refused_instead_of_queued(
    connection: ConnectionSettings, make: Make, settings: StoreSettings, text: str
) -> None:
    async with open_store(connection, settings=settings) as store:
        results = await burst(store, make, 200, text)
        refused = [one for one in results if isinstance(one, BaseException)]
        assert refused and all(isinstance(one, Unavailable) and "nothing was stored" in str(one) for one in refused)
        assert await store.last_sequence() == 200 - len(refused) >= 20
        again = await burst(store, make, 200 - len(refused), text)
        assert len([one for one in again if isinstance(one, Unavailable)]) < 200, "the queue is not full for ever"
        assert (await store.append(make.tx(make.event("afterwards")))).sequences


async def test_without_room_nothing_new_is_stored_and_the_log_can_be_read(store: EventStore, make: Make) -> None:
    await store.append(make.tx(make.event("before")))
    await store.work.put("photos", "scan", "a", b"1")

    def full(removes: bool) -> None:
        if not removes:
            raise Unavailable("the disk is full: make room")

    store.admit_when(full)
    with pytest.raises(Unavailable, match="make room"):
        await store.append(make.tx(make.event("one")))
    with pytest.raises(Unavailable, match="make room"):
        await store.work.put("photos", "scan", "b", b"1")
    assert await store.runs.put("photos", "scan", "a", b"ended") == 1, "what is under way is recorded"
    assert [event.ref.id async for event in store.read(1, await store.last_sequence())] == ["before"]
    deleted = await store.append(make.tx(make.event("before", 1, Kind.DELETED)))
    assert deleted.sequences == (2,), "a deletion makes room"
    with pytest.raises(Unavailable, match="make room"):
        await store.append(make.tx(make.event("before", 2, Kind.DELETED), make.event("one", kind=Kind.CREATED)))
    with pytest.raises(Unavailable, match="make room"):
        await store.append(make.tx(make.event("before", 2, Kind.DELETED), make.event("one", text="x" * 1000)))
    store.admit_when(lambda removes: None)
    assert (await store.append(make.tx(make.event("one")))).sequences == (3,)


@pytest.mark.parametrize(
    ("change", "removes"),
    [
        (Change(unlink={"faces": ["a"]}), True),
        (Change(unset=["cover"]), True),
        (Change(set={"title": "x"}), False),
        (Change(link={"faces": ["a"]}), False),
    ],
    ids=["loses a link", "loses a value", "gets a value", "gets a link"],
)
def test_transaction_with_a_deletion_removes_if_its_updates_add_nothing(
    make: Make, change: Change, removes: bool
) -> None:
    other = Event(make.ref("other"), Kind.UPDATED, change, 1)
    assert make.tx(make.event("gone", 1, Kind.DELETED), other).removes is removes


async def test_an_entitys_events_are_purged_below_one_and_the_rest_stays(store: EventStore, make: Make) -> None:
    for expected in (0, 1, 2):
        await store.append(make.tx(make.event("a", expected, number=expected)))
    await store.append(make.tx(make.event("b")))
    assert await store.erasure.purge(make.ref("a"), 3) == 2
    assert await store.erasure.purge(make.ref("a"), 3) == 0
    assert [event.sequence for event in await store.erasure.events(make.ref("a"))] == [3]
    assert [event.sequence async for event in store.read(1, 4)] == [3, 4]
    assert [ref async for ref in store.erasure.entities("photos")] == [make.ref("a"), make.ref("b")]


async def test_an_erasure_is_known_until_it_is_done(
    connection: ConnectionSettings, store: EventStore, make: Make
) -> None:
    await store.erasure.begin("one", [make.ref("a"), make.ref("b")])
    await store.erasure.begin("two", [make.ref("c")])
    async with open_store(connection) as other:
        notes = await other.erasure.pending()
        assert [(note.id, note.refs) for note in notes] == [
            ("one", (make.ref("a"), make.ref("b"))), ("two", (make.ref("c"),)),
        ]  # fmt: skip
        await other.erasure.done("one")
    assert [note.id for note in await store.erasure.pending()] == ["two"]
    await store.erasure.done("two")
    await store.erasure.done("two")
    assert await store.erasure.pending() == []
