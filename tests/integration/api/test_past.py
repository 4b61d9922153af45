"""`asOf`: what an entity, or a small set, was at a time or a revision, through the caller's view."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.access.caller import Caller
from core.graph.api.past import WAITING, PastTurns
from pcloud.errors import Unavailable
from projections.graph import past
from tests.integration.api.conftest import ADD, Cloud

GET = """query($id: ID!, $at: String) {
  getImage(id: $id, asOf: $at) { id title width hidden albums { name } keywords _version }
}"""
OWNER_GET = """query($id: ID!, $at: String) {
  getImageImporter_Image(id: $id, asOf: $at) {
    title imageImporter_albums: albums { name } faceDetector_segments { label }
  }
}"""


async def add(cloud: Cloud, *inputs: dict[str, Any]) -> list[str]:
    answer = await cloud.ask(ADD, {"input": list(inputs)}, by="image-importer")
    return [one["id"] for one in answer["addImage"]["image"]]


async def update(cloud: Cloud, id: str, **values: Any) -> str:
    query = "mutation($id: ID!, $set: ImagePatch!) { updateImage(input: {filter: {id: [$id]}, set: $set}) { count } }"
    await cloud.ask(query, {"id": id, "set": values}, by="image-importer")
    return cloud.revision


async def test_an_entity_is_answered_as_it_was(cloud: Cloud, image: Any) -> None:
    before = cloud.revision or f"{cloud.store.epoch}.{await cloud.last()}"
    (id,) = await add(cloud, image(1, title="first", keywords=["a"]))
    first = cloud.revision
    second = await update(cloud, id, title="second", width=7)
    await cloud.ask(
        "mutation($id: ID!) { deleteImage(filter: {id: [$id]}) { count } }", {"id": id}, by="image-importer"
    )
    third = cloud.revision

    async def at(revision: str) -> Any:
        return (await cloud.ask(GET, {"id": id, "at": revision}, by="image-importer"))["getImage"]

    one = await at(first)
    assert (one["title"], one["width"], one["hidden"], one["keywords"]) == ("first", 101, False, ["a"])
    assert one["_version"] == int(first.rpartition(".")[2])
    two = await at(second)
    assert (two["title"], two["width"]) == ("second", 7)
    assert await at(third) is None
    assert await at(before) is None
    assert (await cloud.ask(GET, {"id": id}, by="image-importer"))["getImage"] is None


async def test_a_time_of_the_history_gives_what_that_event_made(cloud: Cloud, image: Any) -> None:
    (id,) = await add(cloud, image(1, title="first"))
    await update(cloud, id, title="second")
    history = 'query($id: ID!) { nodeHistory(type: "Image", id: $id) { time revision } }'
    entries = (await cloud.ask(history, {"id": id}, by="image-importer"))["nodeHistory"]
    titles = [
        (await cloud.ask(GET, {"id": id, "at": entry[key]}, by="image-importer"))["getImage"]["title"]
        for entry in entries
        for key in ("revision",)
    ]
    assert titles == ["second", "first"]
    newest = (await cloud.ask(GET, {"id": id, "at": entries[0]["time"]}, by="image-importer"))["getImage"]
    assert newest["title"] == "second"
    early = (await cloud.ask(GET, {"id": id, "at": "2001-01-01T00:00:00Z"}, by="image-importer"))["getImage"]
    assert early is None


async def test_relations_are_those_of_the_time_from_either_end(cloud: Cloud, image: Any) -> None:
    (id,) = await add(cloud, image(1, title="first"))
    album = 'mutation($id: ID!) { addAlbum(input: [{name: "summer", images: [{id: $id}]}]) { album { id } } }'
    made = (await cloud.ask(album, {"id": id}, by="image-importer"))["addAlbum"]["album"][0]["id"]
    linked = cloud.revision
    rename = 'mutation($id: ID!) { updateAlbum(input: {filter: {id: [$id]}, set: {name: "winter"}}) { count } }'
    await cloud.ask(rename, {"id": made}, by="image-importer")
    remove = "mutation($id: ID!) { deleteAlbum(filter: {id: [$id]}) { count } }"
    await cloud.ask(remove, {"id": made}, by="image-importer")

    async def albums(revision: str | None) -> Any:
        return (await cloud.ask(GET, {"id": id, "at": revision}, by="image-importer"))["getImage"]["albums"]

    assert await albums(linked) == [{"name": "summer"}]
    assert await albums(None) == []
    query = 'query($at: String) { queryAlbum(filter: {name: {eq: "summer"}}, asOf: $at) { name images { title } } }'
    found = (await cloud.ask(query, {"at": linked}, by="image-importer"))["queryAlbum"]
    assert found == [{"name": "summer", "images": [{"title": "first"}]}]
    assert (await cloud.ask(query, by="image-importer"))["queryAlbum"] == []


async def test_the_past_goes_through_the_callers_view(cloud: Cloud, image: Any) -> None:
    (id,) = await add(cloud, image(1, title="first"))
    segment = 'mutation($id: ID!) { addImageSegment(input: [{image: {id: $id}, x: 0.5, label: "Ann"}]) { count } }'
    await cloud.ask(segment, {"id": id}, by="face-detector")
    at = cloud.revision
    owner = (await cloud.ask(OWNER_GET, {"id": id, "at": at}))["getImageImporter_Image"]
    assert owner["faceDetector_segments"] == [{"label": "Ann"}]
    failed = await cloud.fails("query($id: ID!, $at: String) { getImage(id: $id, asOf: $at) { segments { label } } }",
                               {"id": id, "at": at}, by="image-importer")  # fmt: skip
    assert "segments" in failed.message


async def test_what_is_too_much_of_the_past_is_refused_with_what_to_ask(
    cloud: Cloud, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = past.PastBounds(entities=5, events=100)
    monkeypatch.setattr(past, "PastBounds", lambda: bounds)
    ids = await add(cloud, *(image(number) for number in range(8)))
    every = "query($at: String) { queryImage(asOf: $at) { id } }"
    failed = await cloud.fails(every, {"at": cloud.revision}, by="image-importer")
    assert failed.code == "REJECTED" and "filter: {id:" in failed.message
    some = "query($at: String, $ids: [ID!]) { queryImage(filter: {id: $ids}, asOf: $at) { id } }"
    found = await cloud.ask(some, {"at": cloud.revision, "ids": ids[:3]}, by="image-importer")
    assert {row["id"] for row in found["queryImage"]} == set(ids[:3])
    failed = await cloud.fails(some, {"at": cloud.revision, "ids": ids}, by="image-importer")
    assert "more than 5" in failed.message


async def test_a_few_large_entities_are_too_much_of_the_past_as_well(cloud: Cloud, image: Any) -> None:
    text = "x" * 900_000
    ids: list[str] = []
    for number in range(0, 40, 4):
        ids += await add(cloud, *(image(number + one, camera=text) for one in range(4)))
    every = "query($at: String) { queryImage(asOf: $at, first: 1) { id } }"
    failed = await cloud.fails(every, {"at": cloud.revision}, by="image-importer")
    assert failed.code == "REJECTED" and "more than 32 MiB" in failed.message and "filter: {id:" in failed.message
    one = await cloud.ask(GET, {"id": ids[7], "at": cloud.revision}, by="image-importer")
    assert one["getImage"]["title"] == "picture 7"


async def test_questions_about_the_past_wait_for_each_other_and_not_without_bound() -> None:
    turns, done = PastTurns(), asyncio.Event()
    asking: dict[str, int] = {}
    most: dict[str, int] = {}

    async def ask(app: str) -> None:
        async with turns.of(Caller("app", app)):
            for name in (app, "all"):
                asking[name] = asking.get(name, 0) + 1
                most[name] = max(most.get(name, 0), asking[name])
            await done.wait()
            for name in (app, "all"):
                asking[name] -= 1

    tasks = [asyncio.create_task(ask(app)) for app in ("a", "b", "c") for _ in range(WAITING + 1)]
    while asking.get("all", 0) < 2:
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="waiting already"):
        await ask("a")
    done.set()
    await asyncio.gather(*tasks)
    assert most == {"a": 1, "b": 1, "c": 1, "all": 2}
    await ask("a")


@pytest.mark.parametrize(
    ("at", "there"),
    [("9999-12-31T23:59:59.9999Z", True), ("2263-01-01T00:00:00Z", True), ("0001-01-01T00:00:00Z", False)],
)
async def test_a_time_beyond_the_log_is_its_end_or_its_beginning(
    cloud: Cloud, image: Any, at: str, there: bool
) -> None:
    (id,) = await add(cloud, image(1))
    answer = await cloud.ask(GET, {"id": id, "at": at}, by="image-importer")
    assert (answer["getImage"] is not None) is there


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("yesterday", "RFC 3339"),
        ("other.1", "another log"),
        ("{epoch}.999999", "the log ends at"),
        ("{epoch}." + "9" * 5_000, "999"),
        ("0001-01-01T00:00:00+14:00", "year in UTC must be from 1 to 9999"),
        ("9999-12-31T23:59:59-01:00", "year in UTC must be from 1 to 9999"),
    ],
)
async def test_an_invalid_time_is_refused(cloud: Cloud, image: Any, at: str, why: str) -> None:
    (id,) = await add(cloud, image(1))
    failed = await cloud.fails(GET, {"id": id, "at": at.format(epoch=cloud.store.epoch)}, by="image-importer")
    assert failed.code == "REJECTED" and why in failed.message
