"""Mutations end to end: one operation is one transaction, all or nothing, exactly once."""

from __future__ import annotations

from typing import Any

from core.access.caller import Caller, RunContext
from tests.integration.api.conftest import ADD, Cloud

APP = "image-importer"


async def test_what_was_added_is_read_back_updated_and_deleted(cloud: Cloud, image: Any) -> None:
    added = await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    (one,) = added["addImage"]["image"]
    assert added["addImage"]["count"] == 1
    got = await cloud.ask(
        "query($id: ID!) { getImage(id: $id) { title takenAt hidden source keywords } }", {"id": one["id"]}, by=APP
    )
    assert got["getImage"] == {
        "title": "picture 1", "takenAt": "2024-02-01T08:00:00.000Z", "hidden": False, "source": "PHONE", "keywords": None,
    }  # fmt: skip
    update = """mutation($id: ID!) {
      updateImage(input: {filter: {id: [$id]}, set: {title: null, keywords: ["a", "b"], size: "5000000000"}}) {
        count image { title keywords size }
      }
    }"""
    updated = await cloud.ask(update, {"id": one["id"]}, by=APP)
    assert updated["updateImage"] == {
        "count": 1,
        "image": [{"title": None, "keywords": ["a", "b"], "size": 5_000_000_000}],
    }
    gone = await cloud.ask(
        "mutation($id: ID!) { deleteImage(filter: {id: [$id]}) { count image { id title } } }",
        {"id": one["id"]},
        by=APP,
    )
    assert gone["deleteImage"] == {"count": 1, "image": [{"id": one["id"], "title": None}]}
    assert await cloud.ask("{ queryImage { id } }", by=APP) == {"queryImage": []}


async def test_all_root_fields_are_one_transaction(cloud: Cloud, image: Any) -> None:
    before = await cloud.last()
    mutation = """mutation($a: [AddImageInput!]!, $b: [AddAlbumInput!]!) {
      first: addImage(input: $a) { count }
      second: addAlbum(input: $b) { count }
    }"""
    failed = await cloud.fails(mutation, {"a": [image(1)], "b": [{"name": "x", "images": [{"id": "nothing"}]}]}, by=APP)
    assert failed.code == "NOT_FOUND"
    assert await cloud.last() == before
    await cloud.ask(
        mutation, {"a": [image(1)], "b": [{"name": "x", "images": [{"sha256": image(1)["sha256"]}]}]}, by=APP
    )
    events = [event async for event in cloud.store.read(before + 1, await cloud.last())]
    assert len({event.tx for event in events}) == 1
    assert {str(event.ref.type_name) for event in events} == {"image-importer/Image", "image-importer/Album"}
    assert len(events) == 2  # the relation is in Image's own event, under the written end


async def test_adding_what_exists_is_a_conflict_and_with_upsert_an_update(cloud: Cloud, image: Any) -> None:
    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    assert (await cloud.fails(ADD, {"input": [image(1)]}, by=APP)).code == "CONFLICT"
    before = await cloud.last()
    await cloud.ask(ADD, {"input": [image(1)], "upsert": True}, by=APP)
    assert await cloud.last() == before, "nothing differed, so nothing was appended"
    await cloud.ask(ADD, {"input": [image(1, title="other")], "upsert": True}, by=APP)
    assert (await cloud.ask("{ queryImage { title } }", by=APP))["queryImage"] == [{"title": "other"}]


async def test_an_id_field_cannot_change_and_a_required_one_cannot_go(cloud: Cloud, image: Any) -> None:
    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    assert (
        "sha256"
        in (
            await cloud.fails('mutation { updateImage(input: {filter: {}, set: {sha256: "x"}}) { count } }', by=APP)
        ).message
    )
    failed = await cloud.fails("mutation { updateImage(input: {filter: {}, set: {mime: null}}) { count } }", by=APP)
    assert failed.code == "REJECTED" and "mime" in failed.message


async def test_relations_are_written_from_either_side(cloud: Cloud, image: Any) -> None:
    await cloud.ask(ADD, {"input": [image(1), image(2)]}, by=APP)
    one, two = ({"sha256": image(n)["sha256"]} for n in (1, 2))
    album = (await cloud.ask(
        "mutation($i: [ImageRef!]) { addAlbum(input: [{name: \"a\", images: $i}]) { album { id } } }", {"i": [one, two]}, by=APP
    ))["addAlbum"]["album"][0]["id"]  # fmt: skip
    read = """{
      queryImage(order: [{asc: width}]) { albums { name } }
      queryAlbum { images(order: [{asc: width}]) { width } imagesAggregate { count widthMax } }
    }"""
    assert await cloud.ask(read, by=APP) == {
        "queryImage": [{"albums": [{"name": "a"}]}, {"albums": [{"name": "a"}]}],
        "queryAlbum": [{"images": [{"width": 101}, {"width": 102}], "imagesAggregate": {"count": 2, "widthMax": 102}}],
    }
    remove = "mutation($s: String, $id: ID!) { updateImage(input: {filter: {sha256: {eq: $s}}, remove: {albums: [{id: $id}]}}) { count } }"
    await cloud.ask(remove, {"s": image(1)["sha256"], "id": album}, by=APP)
    assert (await cloud.ask(read, by=APP))["queryAlbum"][0]["images"] == [{"width": 102}]
    await cloud.ask("mutation { updateAlbum(input: {filter: {}, remove: {images: null}}) { count } }", by=APP)
    assert (await cloud.ask(read, by=APP))["queryAlbum"][0]["imagesAggregate"]["count"] == 0


async def test_nested_new_entities_are_added_along(cloud: Cloud, image: Any) -> None:
    mutation = (
        'mutation($i: [ImageRef!]) { addAlbum(input: [{name: "new", images: $i}]) { album { images { title } } } }'
    )
    answer = await cloud.ask(mutation, {"i": [image(7)]}, by=APP)
    assert answer["addAlbum"]["album"] == [{"images": [{"title": "picture 7"}]}]


async def test_deleting_cascades_across_apps(cloud: Cloud, image: Any) -> None:
    id = (await cloud.ask(ADD, {"input": [image(1)]}, by=APP))["addImage"]["image"][0]["id"]
    add = "mutation($i: [AddImageSegmentInput!]!) { addImageSegment(input: $i) { imageSegment { image { id } } } }"
    made = await cloud.ask(add, {"i": [{"image": {"id": id}, "x": n} for n in (1, 2)]}, by="face-detector")
    assert made["addImageSegment"]["imageSegment"] == [{"image": {"id": id}}] * 2
    await cloud.ask("mutation { deleteImage(filter: {}) { count } }", by=APP)
    assert await cloud.ask("{ queryImageSegment { id } }", by="face-detector") == {"queryImageSegment": []}


async def test_the_same_key_answers_the_first_result_also_after_the_duplicate_window(cloud: Cloud, image: Any) -> None:
    """JetStream forgets message ids after two minutes: shortened to a moment here, until the server confirms it."""
    info = await cloud.store.js.stream_info("GRAPH")
    info.config.duplicate_window = 0.1
    await cloud.store.js.update_stream(info.config)
    add = "mutation($n: String!) { addAlbum(input: [{name: $n}]) { count album { id name } } }"
    first = await cloud.ask(add, {"n": "once"}, by=APP, headers={"Idempotency-Key": "k1"})
    sequence = await cloud.last()
    await cloud.ask(add, {"n": "other"}, by=APP)
    await _forgotten(cloud, sequence)
    again = await cloud.ask(add, {"n": "once"}, by=APP, headers={"Idempotency-Key": "k1"})
    assert again == first
    assert await cloud.last() == sequence + 1
    failed = await cloud.fails(add, {"n": "changed"}, by=APP, headers={"Idempotency-Key": "k1"})
    assert failed.code == "CONFLICT"
    assert (
        await cloud.ask(
            add, {"n": "other app's"}, by=Caller("person", "owner", through=APP), headers={"Idempotency-Key": "k1"}
        )
    )["addAlbum"]["count"] == 1


async def _forgotten(cloud: Cloud, sequence: int) -> None:
    """Wait until the server accepts the message id of `sequence` again: probed with a message that its expectation refuses anyway."""
    from nats.js.errors import APIError

    stored = await cloud.store.js.get_msg("GRAPH", sequence)
    assert stored.headers is not None and stored.subject is not None
    headers = {"Nats-Msg-Id": stored.headers["Nats-Msg-Id"], "Nats-Expected-Last-Subject-Sequence": "999999"}
    while True:
        try:
            ack = await cloud.store.js.publish(stored.subject, b"{}", headers=headers)
            assert ack.duplicate
        except APIError:
            return


async def test_two_writes_of_a_run_are_two_and_a_second_attempt_finds_its_own(cloud: Cloud) -> None:
    run = Caller("app", APP, run=RunContext("f" * 32))
    add = "mutation($n: String!) { addAlbum(input: [{name: $n}]) { album { id } } }"
    ids = [
        (await cloud.ask(add, {"n": name}, by=run, headers={"Pcloud-Ordinal": ordinal}))["addAlbum"]["album"][0]["id"]
        for name, ordinal in (("a", "1"), ("b", "2"))
    ]
    assert len(set(ids)) == 2
    before = await cloud.last()
    again = (await cloud.ask(add, {"n": "a"}, by=run, headers={"Pcloud-Ordinal": "1"}))["addAlbum"]["album"][0]["id"]
    assert again == ids[0] and await cloud.last() == before


async def test_a_replay_finds_and_updates_what_the_first_run_added(cloud: Cloud, image: Any) -> None:
    add = "mutation($n: String!) { addAlbum(input: [{name: $n}]) { album { id name } } }"
    first, replay = (Caller("app", APP, run=RunContext("e" * 32, generation)) for generation in (0, 1))
    one = await cloud.ask(add, {"n": "old"}, by=first, headers={"Pcloud-Ordinal": "1"})
    two = await cloud.ask(add, {"n": "new"}, by=replay, headers={"Pcloud-Ordinal": "1"})
    assert one["addAlbum"]["album"][0]["id"] == two["addAlbum"]["album"][0]["id"]
    assert await cloud.ask("{ queryAlbum { name } }", by=APP) == {"queryAlbum": [{"name": "new"}]}
    before = await cloud.last()
    await cloud.ask(ADD, {"input": [image(1)]}, by=first, headers={"Pcloud-Ordinal": "2"})
    await cloud.ask(ADD, {"input": [image(1)]}, by=replay, headers={"Pcloud-Ordinal": "2"})
    assert await cloud.last() == before + 1


async def test_a_replay_writes_again_what_was_changed_after_the_first_run(cloud: Cloud) -> None:
    """The same request at the same place of the same run: in another generation it is not a repetition."""
    add = 'mutation { addAlbum(input: [{name: "found"}]) { album { id } } }'
    change = 'mutation { updateAlbum(input: {filter: {}, set: {name: "edited"}}) { count } }'
    for generation in (0, 1, 2):
        run = Caller("app", APP, run=RunContext("b" * 32, generation))
        await cloud.ask(add, by=run, headers={"Pcloud-Ordinal": "1"})
        assert await cloud.ask("{ queryAlbum { name } }", by=APP) == {"queryAlbum": [{"name": "found"}]}
        await cloud.ask(change, by=APP)
        await cloud.ask(add, by=run, headers={"Pcloud-Ordinal": "1"})
        assert await cloud.ask("{ queryAlbum { name } }", by=APP) == {"queryAlbum": [{"name": "edited"}]}


async def test_writers_of_one_entity_all_succeed_or_get_an_error(cloud: Cloud, image: Any) -> None:
    import asyncio

    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    change = "mutation($k: [String!]) { updateImage(input: {filter: {}, set: {keywords: $k}}) { count } }"
    results = await asyncio.gather(
        *(cloud.ask(change, {"k": [str(n)]}, by=APP) for n in range(4)), return_exceptions=True
    )
    told = [one for one in results if isinstance(one, BaseException)]
    assert all(getattr(one, "code", "") == "CONFLICT" for one in told), told
    events = [e async for e in cloud.store.read(1, await cloud.last(), subjects=("graph.image-importer.Image.*",))]
    assert len(events) == 1 + len(results) - len(told)


async def test_a_transaction_has_its_bounds(cloud: Cloud) -> None:
    add = "mutation($i: [AddAlbumInput!]!) { addAlbum(input: $i) { count } }"
    assert (await cloud.ask(add, {"i": [{"name": str(n)} for n in range(1000)]}, by=APP))["addAlbum"]["count"] == 1000
    assert "1000" in (await cloud.fails(add, {"i": [{"name": str(n)} for n in range(1001)]}, by=APP)).message
    await cloud.ask(add, {"i": [{"name": "one more"}]}, by=APP)
    failed = await cloud.fails("mutation { deleteAlbum(filter: {}) { count } }", by=APP)
    assert failed.code == "REJECTED"
    looping = Caller("app", APP, run=RunContext("d" * 32, depth=17))
    assert "circle" in (await cloud.fails(add, {"i": [{"name": "x"}]}, by=looping)).message


async def test_a_second_attempt_that_comes_to_another_write_converges(cloud: Cloud) -> None:
    """As if the handler reads the time again, or finds what its first attempt left and goes another way."""
    run = Caller("app", APP, run=RunContext("c" * 32))
    add = "mutation($n: String!) { addAlbum(input: [{name: $n}]) { album { id } } }"
    for name in ("at noon", "at one", "at one"):
        await cloud.ask(add, {"n": name}, by=run, headers={"Pcloud-Ordinal": "1"})
    assert await cloud.ask("{ queryAlbum { name } }", by=APP) == {"queryAlbum": [{"name": "at one"}]}
    failed = await cloud.fails(add, {"n": "x"}, by=run, headers={"Pcloud-Ordinal": "first"})
    assert failed.code == "REJECTED"


async def test_a_relation_that_is_its_own_inverse_holds_both_ways(cloud: Cloud) -> None:
    await cloud.install("people", "type Person { name: String! @id friends: [Person!] @hasInverse(field: friends) }")
    add = "mutation($i: [AddPersonInput!]!) { addPerson(input: $i) { count } }"
    await cloud.ask(add, {"i": [{"name": "a"}, {"name": "b", "friends": [{"name": "a"}, {"name": "c"}]}]}, by="people")
    read = "{ queryPerson(order: {asc: name}) { name friends(order: {asc: name}) { name } } }"

    async def friends() -> dict[str, list[str]]:
        rows = (await cloud.ask(read, by="people"))["queryPerson"]
        return {row["name"]: [one["name"] for one in row["friends"]] for row in rows}

    assert await friends() == {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
    part = 'mutation { updatePerson(input: {filter: {name: {eq: "a"}}, remove: {friends: [{name: "b"}]}}) { count } }'
    await cloud.ask(part, by="people")
    assert await friends() == {"a": [], "b": ["c"], "c": ["b"]}
