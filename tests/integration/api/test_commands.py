"""Commands on a real log: a decision on an old version is repeated, a limited number of times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.graph.command import EntityChange
from eventstore import Appended, EventStore, Transaction
from pcloud.errors import Conflict, NotFound, Rejected
from pcloud.event import Kind
from pcloud.subject import Ref
from tests.integration.api.conftest import Cloud

ALBUM = Ref("image-importer", "Album", "a")


class Overtaken:
    """A log on which another writer is faster, as often as `times` says."""

    def __init__(self, store: EventStore, times: int, rival: Callable[[], Awaitable[object]]) -> None:
        self._store, self.times, self._rival = store, times, rival
        self.epoch, self.id_key = store.epoch, store.id_key
        self.attempts = 0

    async def append(self, transaction: Transaction) -> Appended:
        self.attempts += 1
        if self.times:
            self.times -= 1
            await self._rival()
        return await self._store.append(transaction)

    async def last_sequence(self) -> int:
        return await self._store.last_sequence()


async def test_a_write_that_was_overtaken_is_decided_again(cloud: Cloud) -> None:
    await cloud.commands.write("owner", [EntityChange(ALBUM, "add", set={"name": "old"})])

    async def rival() -> None:
        await cloud.commands.write("owner", [EntityChange(ALBUM, "update", set={"name": f"rival {log.attempts}"})])

    log = Overtaken(cloud.store, 2, rival)
    commands = cloud.commands_on(log)
    revision = await commands.write("app:image-importer", [EntityChange(ALBUM, "update", set={"name": "mine"})])
    assert log.attempts == 3 and revision.sequence == await cloud.last()
    assert (await cloud.graph.entities([ALBUM]))[ALBUM].fields["name"] == "mine"


async def test_an_overtaken_add_finds_what_the_other_added(cloud: Cloud) -> None:
    async def rival() -> None:
        await cloud.commands.write("owner", [EntityChange(ALBUM, "add", set={"name": "theirs"})])

    log = Overtaken(cloud.store, 1, rival)
    with pytest.raises(Conflict, match="exists already"):
        await cloud.commands_on(log).write("owner", [EntityChange(ALBUM, "add", set={"name": "mine"})])
    assert log.attempts == 1


async def test_a_command_that_is_always_overtaken_fails_with_a_conflict(cloud: Cloud) -> None:
    await cloud.commands.write("owner", [EntityChange(ALBUM, "add", set={"name": "0"})])
    count = iter(range(1, 100))

    async def rival() -> None:
        await cloud.commands.write("owner", [EntityChange(ALBUM, "update", set={"name": str(next(count))})])

    log = Overtaken(cloud.store, 100, rival)
    with pytest.raises(Conflict, match="try again"):
        await cloud.commands_on(log).write("owner", [EntityChange(ALBUM, "update", set={"name": "mine"})])
    assert log.attempts == 5


async def test_a_keyed_command_is_done_once(cloud: Cloud) -> None:
    change = [EntityChange(ALBUM, "add", set={"name": "once"})]
    first = await cloud.commands.write("owner", change, key="k")
    assert await cloud.commands.write("owner", change, key="k") == first
    assert await cloud.last() == first.sequence
    with pytest.raises(Conflict, match="key"):
        await cloud.commands.write("owner", [EntityChange(ALBUM, "add", set={"name": "twice"})], key="k")


async def test_changes_of_one_entity_become_one_event(cloud: Cloud) -> None:
    one = [
        EntityChange(ALBUM, "add", set={"name": "first"}),
        EntityChange(ALBUM, "update", set={"name": "second"}),
        EntityChange(Ref("image-importer", "Album", "b"), "upsert", set={"name": "b"}),
        EntityChange(Ref("image-importer", "Album", "b"), "delete"),
    ]
    revision = await cloud.commands.write("owner", one)
    events = [event async for event in cloud.store.read(1, revision.sequence, subjects=("graph.image-importer.>",))]
    assert [(event.ref, event.kind, event.change.set) for event in events] == [
        (ALBUM, Kind.CREATED, {"name": "second"})
    ]


async def test_a_deleted_entity_can_be_made_again(cloud: Cloud) -> None:
    for kind in ("add", "delete", "add", "delete", "delete"):
        await cloud.commands.write("owner", [EntityChange(ALBUM, kind, set={"name": "x"} if kind == "add" else {})])
    assert not (await cloud.graph.entities([ALBUM]))[ALBUM].exists


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (EntityChange(ALBUM, "update", set={"name": "x"}), NotFound, "no image-importer/Album"),
        (EntityChange(ALBUM, "add"), Rejected, "name"),
        (EntityChange(ALBUM, "add", set={"name": 3}), Rejected, "String"),
        (EntityChange(ALBUM, "add", set={"nothing": 3}), Rejected, "nothing"),
        (EntityChange(ALBUM, "add", set={"cover": "x"}), Rejected, "relation"),
        (EntityChange(ALBUM, "add", set={"name": "x"}, link={"cover": ["a", "b"]}), Rejected, "one"),
        (EntityChange(ALBUM, "add", set={"name": "x"}, link={"cover": ["a"]}), NotFound, "'a'"),
        (EntityChange(ALBUM, "add", set={"name": "x"}, link={"name": ["a"]}), Rejected, "relation"),
        (EntityChange(Ref("image-importer", "Nothing", "a"), "add"), Rejected, "no type"),
    ],
)
async def test_what_does_not_fit_the_schema_changes_nothing(
    cloud: Cloud, change: EntityChange, error: type, word: str
) -> None:
    before = await cloud.last()
    with pytest.raises(error, match=word):
        await cloud.commands.write("owner", [change])
    assert await cloud.last() == before
