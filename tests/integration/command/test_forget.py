"""Forgetting on a real log: forgotten data is gone everywhere, and every view arrives at the same state as without a purge."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.graph.command import EntityChange, WriteRequest, purge_plan
from eventstore import Appended, EventStore, Transaction
from eventstore.erasure import Erasure
from pcloud.errors import Conflict, Rejected
from pcloud.event import Event, Kind
from pcloud.subject import Ref
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.search.contract import SearchQuery
from projections.search.tantivy import open_tantivy_search
from tests.integration.api.conftest import DETECTOR, IMPORTER, Cloud, grant, open_cloud

PAIRS = """
type Person {
  name: String! @search(by: [term])
  partner: Person @hasInverse(field: partnerOf)
  partnerOf: Person @hasInverse(field: partner)
  locker: Locker @hasInverse(field: owner)
}
type Locker { number: Int owner: Person @hasInverse(field: locker) }
"""
ALBUM, OTHER = (Ref("image-importer", "Album", id) for id in "ab")


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with open_cloud(tmp_path) as opened:
        await opened.install("image-importer", IMPORTER)
        await opened.install("face-detector", DETECTOR, [grant("face-detector", "extend", "image-importer/Image")])
        yield opened


def image(id: str, **more: Any) -> EntityChange:
    values = {"place": f"{id}.jpg", "sha256": id, "mime": "image/jpeg", "width": 1, "title": f"secret {id}", **more}
    return EntityChange(Ref("image-importer", "Image", id), "add", set=values)


def segment(id: str, of: str) -> EntityChange:
    ref = Ref("face-detector", "ImageSegment", id)
    return EntityChange(ref, "add", set={"x": 0.5, "label": f"face {id}"}, link={"image": [of]})


def ref(id: str) -> Ref:
    return Ref("image-importer", "Image", id)


async def stored(cloud: Cloud, one: Ref) -> list[Kind]:
    return [event.kind for event in await cloud.store.erasure.events(one)]


@asynccontextmanager
async def refolded(cloud: Cloud, folder: Path) -> AsyncIterator[SqliteGraph]:
    graph = await open_sqlite_graph(folder / f"again-{random.random()}.db")
    try:
        events = [event async for event in cloud.store.read(1, cloud.graph.checkpoint.sequence)]
        await graph.apply(cloud.store.epoch, events)
        yield graph
    finally:
        await graph.close()


async def assert_a_refold_is_equal(cloud: Cloud, folder: Path) -> None:
    async with refolded(cloud, folder) as again:
        assert await again.dump() == await cloud.graph.dump()
        assert not again.checkpoint.missing


async def test_what_is_forgotten_leaves_log_graph_and_search_with_all_that_belongs_to_it(
    cloud: Cloud, tmp_path: Path
) -> None:
    await cloud.commands.write("owner", [image("i"), image("j")])
    await cloud.commands.write("owner", [segment("s", "i"), segment("t", "j")])
    await cloud.commands.write("owner", [EntityChange(ref("i"), "update", set={"title": "a greater secret"})])
    revision = await cloud.commands.forget("owner", [ref("i")])
    assert revision.sequence == cloud.graph.checkpoint.sequence == await cloud.last()
    face = Ref("face-detector", "ImageSegment", "s")
    assert await stored(cloud, ref("i")) == await stored(cloud, face) == [Kind.FORGOTTEN]
    assert await stored(cloud, ref("j")) == [Kind.CREATED]
    left = [event async for event in cloud.store.read(1, revision.sequence)]
    assert not any("secret" in str(event.change.set) for event in left if event.ref != ref("j"))
    nodes = await cloud.graph.entities([ref("i"), face, ref("j")])
    assert [nodes[one].exists for one in (ref("i"), face, ref("j"))] == [False, False, True]
    assert nodes[ref("i")].version > 0
    found = await cloud.ask('{ search(text: "secret") { total } }', headers={"Pcloud-Revision": str(revision)})
    assert found["search"]["total"] == 1
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_forgetting_again_and_what_never_was_does_nothing(cloud: Cloud) -> None:
    await cloud.commands.write("owner", [image("i")])
    first = await cloud.commands.forget("owner", [ref("i"), ref("never")])
    assert await cloud.commands.forget("owner", [ref("i"), ref("never")]) == first
    assert await cloud.store.erasure.pending() == []


async def test_a_deleted_entity_can_be_forgotten_with_its_history(cloud: Cloud, tmp_path: Path) -> None:
    await cloud.commands.write("owner", [image("i")])
    await cloud.commands.write("owner", [EntityChange(ref("i"), "delete")])
    await cloud.commands.forget("owner", [ref("i")])
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN]
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_what_comes_again_can_be_forgotten_again(cloud: Cloud, tmp_path: Path) -> None:
    for _ in range(3):
        await cloud.commands.write("owner", [image("i")])
        await cloud.commands.forget("owner", [ref("i")])
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN]
    await cloud.commands.write("owner", [image("i")])
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN, Kind.CREATED]
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_a_late_retry_does_not_bring_it_back(cloud: Cloud) -> None:
    await cloud.commands.write("owner", [image("i")], key="k")
    late = (await cloud.store.erasure.events(ref("i")))[0]
    await cloud.commands.forget("owner", [ref("i")])
    with pytest.raises(Conflict, match="forgotten"):
        await cloud.commands.write("owner", [image("i")], key="k")
    raw = Transaction("f" * 32, (Event(late.ref, late.kind, late.change, 0),), "owner")
    with pytest.raises(Conflict):
        await cloud.store.append(raw)
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN]


async def test_the_platforms_own_entities_are_not_forgotten(cloud: Cloud) -> None:
    with pytest.raises(Rejected, match="platform"):
        await cloud.commands.forget("owner", [Ref("core", "App", "image-importer")])


async def test_very_many_events_take_several_forgotten_ones(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_plan, "MOST_NAMED", 3)
    await cloud.commands.write("owner", [image("i")])
    for number in range(6):
        await cloud.commands.write("owner", [EntityChange(ref("i"), "update", set={"title": f"{number}"})])
    await cloud.commands.forget("owner", [ref("i")])
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN] * 3
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_whom_a_forgotten_one_took_stays_free(cloud: Cloud, tmp_path: Path) -> None:
    """A one-to-one link takes from others without an event of theirs: a log without it must not give that back."""
    await cloud.install("people", PAIRS)
    person = lambda id: Ref("people", "Person", id)  # noqa: E731
    people = [EntityChange(person(id), "add", set={"name": id}) for id in "abcde"]
    await cloud.commands.write("owner", [*people, EntityChange(Ref("people", "Locker", "l"), "add")])
    for one, field, other in [
        ("a", "partner", "b"), ("c", "partner", "b"), ("a", "locker", "l"), ("c", "locker", "l"), ("d", "partner", "e"),
        ("c", "partner", "e"),
        ("a", "partner", "b"),
    ]:  # fmt: skip
        await cloud.commands.write("owner", [EntityChange(person(one), "update", link={field: [other]})])
    await cloud.commands.forget("owner", [person("c")])
    await assert_a_refold_is_equal(cloud, tmp_path)


# --- what is interrupted -----------------------------------------------------------------------------------------------------------


class Death(BaseException):
    """Not caught by any handler."""


class Dying(Erasure):
    """A node that dies just before it purges."""

    async def purge(self, ref: Ref, below: int) -> int:
        raise Death


class DyingLog:
    def __init__(self, store: EventStore, erasure: Erasure) -> None:
        self._store, self.epoch, self.id_key, self.erasure = store, store.epoch, store.id_key, erasure

    async def append(self, transaction: Transaction) -> Appended:
        return await self._store.append(transaction)

    async def last_sequence(self) -> int:
        return await self._store.last_sequence()


async def interrupted(cloud: Cloud, refs: Sequence[Ref]) -> None:
    """Run until `forgotten` is on the log and nothing is purged."""
    commands = cloud.commands_on(DyingLog(cloud.store, Dying(cloud.store._connection)))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Death):
        await commands.forget("owner", refs)


@pytest.mark.parametrize("by", ["the next start", "the next forget"])
async def test_an_interrupted_one_is_finished(cloud: Cloud, tmp_path: Path, by: str) -> None:
    heard: list[Ref] = []

    async def hook(refs: Sequence[Ref]) -> None:
        heard.extend(refs)

    await cloud.commands.write("owner", [image("i"), image("j")])
    await interrupted(cloud, [ref("i")])
    assert await stored(cloud, ref("i")) == [Kind.CREATED, Kind.FORGOTTEN]
    before = await cloud.graph.dump()
    cloud.commands.on_forgotten(hook)
    if by == "the next start":
        await cloud.commands.finish_forgetting()
        assert await cloud.graph.dump() == before
    else:
        await cloud.commands.forget("owner", [ref("j")])
    assert heard[0] == ref("i") and await stored(cloud, ref("i")) == [Kind.FORGOTTEN]
    assert await cloud.store.erasure.pending() == []
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_one_of_several_events_is_continued(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_plan, "MOST_NAMED", 1)
    await cloud.commands.write("owner", [image("i")])
    await cloud.commands.write("owner", [EntityChange(ref("i"), "update", set={"title": "x"})])
    tellers = purge_plan.Tellers(cloud.graph)
    await cloud.store.erasure.begin("note", [ref("i")])
    plan = await purge_plan.plan_purge(ref("i"), await cloud.store.erasure.events(ref("i")), tellers, ())
    assert plan.event
    await cloud.store.append(Transaction("e" * 32, (plan.event,), "device:phone"))
    await cloud.commands.finish_forgetting()
    left = await cloud.store.erasure.events(ref("i"))
    assert [event.kind for event in left] == [Kind.FORGOTTEN] * 2 and left[1].actor == "device:phone"
    assert await cloud.store.erasure.pending() == []
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_one_that_came_again_meanwhile_is_not_forgotten_by_finishing(cloud: Cloud, tmp_path: Path) -> None:
    await cloud.commands.write("owner", [image("i")])
    await interrupted(cloud, [ref("i")])
    await cloud.commands.write("owner", [image("i", title="new")])
    await cloud.commands.finish_forgetting()
    assert await stored(cloud, ref("i")) == [Kind.FORGOTTEN, Kind.CREATED]
    assert (await cloud.graph.entities([ref("i")]))[ref("i")].fields["title"] == "new"
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_what_was_only_noted_is_left_alone(cloud: Cloud) -> None:
    """Its writer may be working on it on another node right now."""
    await cloud.commands.write("owner", [image("i")])
    await cloud.store.erasure.begin("note", [ref("i")])
    await cloud.commands.finish_forgetting()
    assert await stored(cloud, ref("i")) == [Kind.CREATED]
    assert [note.refs for note in await cloud.store.erasure.pending()] == [(ref("i"),)]


# --- folding ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_a_view_that_read_only_a_part_before_the_purge_comes_to_the_same(
    cloud: Cloud, tmp_path: Path, seed: int
) -> None:
    """Wherever a reader was when events were purged: its state and its running hash are those of one that read them all."""
    draw = random.Random(seed)
    await cloud.install("people", PAIRS)
    ids = "abcde"
    person: Callable[[str], Ref] = lambda id: Ref("people", "Person", id)  # noqa: E731
    locker: Callable[[str], Ref] = lambda id: Ref("people", "Locker", id)  # noqa: E731
    read: list[Any] = []
    for step in range(40):
        one, other = draw.choice(ids), draw.choice(ids)
        refs = [person(one), locker(other)]
        match draw.randrange(6):
            case 0 | 1:
                changes = [
                    EntityChange(person(one), "upsert", set={"name": f"{one}{step}"}),
                    EntityChange(locker(other), "upsert"),
                ]
            case 2 | 3:
                field, target = draw.choice([("partner", person(other)), ("locker", locker(other))])
                kind: Any = "upsert"
                value = {"name": one}
                changes = [EntityChange(person(one), kind, set=value, link={field: [other]})]
                changes.insert(
                    0, EntityChange(target, kind, set={"name": other} if field == "partner" else {"number": 1})
                )
            case 4:
                changes = [EntityChange(draw.choice(refs), "delete")]
            case _:
                await cloud.commands.forget("owner", [draw.choice(refs)])
                continue
        await cloud.commands.write("owner", changes)
        if draw.random() < 0.5:  # a slow reader reads on
            after = read[-1].sequence if read else 0
            read += [event async for event in cloud.store.read(after + 1, draw.randint(after, await cloud.last()))]
    last = cloud.graph.checkpoint.sequence
    after = read[-1].sequence if read else 0
    read += [event async for event in cloud.store.read(after + 1, last)]
    slow = await open_sqlite_graph(tmp_path / "slow.db")
    await slow.apply(cloud.store.epoch, read)
    try:
        assert await slow.dump() == await cloud.graph.dump()
    finally:
        await slow.close()
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_a_rebuilt_search_index_finds_the_same(cloud: Cloud, tmp_path: Path) -> None:
    await cloud.commands.write("owner", [image("i"), image("j"), segment("s", "i")])
    await cloud.commands.forget("owner", [ref("i")])
    await cloud.search_loop.wait_for(await cloud.last())
    async with refolded(cloud, tmp_path) as again:
        index = await open_tantivy_search(tmp_path / "index", again)
        try:
            await index.apply(cloud.store.epoch, [event async for event in cloud.store.read(1, await cloud.last())])
            assert index.checkpoint == cloud.search_loop.checkpoint
            types = {"image-importer/Image": frozenset({"title"}), "face-detector/ImageSegment": frozenset({"label"})}
            assert (await index.search(SearchQuery("secret face", types))).total == 0
            assert (await index.search(SearchQuery("secret", types))).total == 1
        finally:
            await index.close()


# --- a whole app --------------------------------------------------------------------------------------------------------------------


async def test_an_apps_types_and_its_fields_on_others_are_forgotten(cloud: Cloud, tmp_path: Path) -> None:
    changes = [image(f"{number}") for number in range(130)]
    await cloud.commands.write("owner", changes)
    extended = [
        EntityChange(ref(f"{number}"), "update", set={"face-detector/faceCount": number}) for number in range(130)
    ]
    await cloud.commands.write("app:face-detector", extended)
    await cloud.commands.write("app:face-detector", [segment(f"s{number}", f"{number}") for number in range(130)])
    await cloud.commands.write(
        "app:face-detector", [EntityChange(Ref("face-detector", "ImageSegment", "s0"), "delete")]
    )
    heard: list[int] = []
    count = await cloud.commands.forget_types("owner", "face-detector", heard.append)
    assert count == heard[-1] == 260 and heard == sorted(heard) and len(heard) > 3
    counts = await cloud.ask("{ aggregateFaceDetector_ImageSegment { count } aggregateImageImporter_Image { count } }")
    assert counts["aggregateFaceDetector_ImageSegment"]["count"] == 0
    assert counts["aggregateImageImporter_Image"]["count"] == 130
    nodes = await cloud.graph.entities([ref(f"{number}") for number in range(130)])
    assert not any("face-detector/faceCount" in node.fields for node in nodes.values())
    for number in (0, 1, 129):
        assert await stored(cloud, Ref("face-detector", "ImageSegment", f"s{number}")) == [Kind.FORGOTTEN]
    await assert_a_refold_is_equal(cloud, tmp_path)


async def test_a_keyed_transaction_of_which_one_was_forgotten_is_not_answered_again(cloud: Cloud) -> None:
    request = WriteRequest("owner", "a" * 32, keyed=True, request="asked")

    async def stage(staging: Any) -> dict[str, Any]:
        await staging.apply(
            [EntityChange(ALBUM, "add", set={"name": "x"}), EntityChange(OTHER, "add", set={"name": "y"})]
        )
        return {"addAlbum": ["a", "b"]}

    await cloud.commands.transact(request, stage)
    await cloud.commands.forget("owner", [ALBUM])
    known = await cloud.graph.transaction("a" * 32)
    assert known is not None and known.forgotten and "a" not in str(known.result.get("addAlbum", ""))
    with pytest.raises(Conflict, match="forgotten since"):
        await cloud.commands.transact(request, stage)
