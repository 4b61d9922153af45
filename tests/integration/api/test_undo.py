"""`undo`: the inverse of a transaction, whole or not at all; refused with the reasons where later changes stand on it."""

from __future__ import annotations

from typing import Any

import pytest

from core.caller import Caller
from core.command import NodeChange
from core.command.undo import Undoing
from core.command.undo_fields import undo_fields
from pcloud.subject import Ref
from tests.integration.api.conftest import ADD, Cloud

APP = "image-importer"
UNDO = "mutation($tx: String!) { undo(tx: $tx) }"
IMAGE = "query($id: ID!) { getImage(id: $id) { title width camera hidden keywords albums { id name } } }"


@pytest.fixture
async def house(cloud: Cloud) -> Cloud:
    cloud.api.add_fields(undo_fields(Undoing(cloud.store, cloud.graph, cloud.loop, cloud.commands)))
    return cloud


async def last_tx(cloud: Cloud) -> str:
    last = await cloud.last()
    (tx,) = [event.tx async for event in cloud.store.read(last, last)]
    return tx


async def change(cloud: Cloud, query: str, variables: dict[str, Any] | None = None, by: str = APP) -> tuple[Any, str]:
    """The answer, and the transaction that it was."""
    return await cloud.ask(query, variables, by=by), await last_tx(cloud)


async def add(cloud: Cloud, *inputs: dict[str, Any]) -> tuple[list[str], str]:
    answer, tx = await change(cloud, ADD, {"input": list(inputs)})
    return [one["id"] for one in answer["addImage"]["image"]], tx


async def update(cloud: Cloud, id: str, **values: Any) -> str:
    query = "mutation($id: ID!, $set: ImagePatch!) { updateImage(input: {filter: {id: [$id]}, set: $set}) { count } }"
    return (await change(cloud, query, {"id": id, "set": values}))[1]


async def album(cloud: Cloud, name: str, *images: str) -> tuple[str, str]:
    query = "mutation($input: [AddAlbumInput!]!) { addAlbum(input: $input) { album { id } } }"
    value = {"name": name, "images": [{"id": id} for id in images], "cover": {"id": images[0]} if images else None}
    answer, tx = await change(cloud, query, {"input": [value]})
    return answer["addAlbum"]["album"][0]["id"], tx


async def image_of(cloud: Cloud, id: str) -> Any:
    return (await cloud.ask(IMAGE, {"id": id}, by=APP))["getImage"]


async def delete(cloud: Cloud, id: str) -> str:
    return (await change(cloud, "mutation($id: ID!) { deleteImage(filter: {id: [$id]}) { count } }", {"id": id}))[1]


async def test_a_creation_is_taken_away_and_again_given_back(house: Cloud, image: Any) -> None:
    (one, two), tx = await add(house, image(1), image(2, title=None, keywords=["a", "b"]))
    before = await image_of(house, two)
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert (done["entities"], done["leftOut"], done["repeated"]) == (2, [], False)
    assert await image_of(house, one) is None and await image_of(house, two) is None
    undone = await last_tx(house)
    again = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert again["repeated"] and again["revision"] == done["revision"]
    await house.ask(UNDO, {"tx": undone})
    assert await image_of(house, two) == before


async def test_an_update_gets_its_values_back_beside_later_changes_of_others(house: Cloud, image: Any) -> None:
    (id,), _ = await add(house, image(1, title="first", keywords=["a"]))
    tx = await update(house, id, title="second", camera="Leica", keywords=["b"])
    await update(house, id, width=9)
    await house.ask(UNDO, {"tx": tx})
    found = await image_of(house, id)
    assert (found["title"], found["camera"], found["keywords"], found["width"]) == ("first", None, ["a"], 9)


async def test_a_later_change_of_the_same_field_refuses_with_its_reason(house: Cloud, image: Any) -> None:
    (id,), created = await add(house, image(1, title="first"))
    tx = await update(house, id, title="second")
    later = await update(house, id, title="third")
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == "CONFLICT" and later in failed.message and "title" in failed.message
    failed = await house.fails(UNDO, {"tx": created})
    assert "updated since" in failed.message
    assert (await image_of(house, id))["title"] == "third"
    await house.ask(UNDO, {"tx": later})
    assert (await image_of(house, id))["title"] == "second"


async def test_what_others_point_to_since_is_not_taken_away(house: Cloud, image: Any) -> None:
    (id,), tx = await add(house, image(1))
    _, linked = await album(house, "summer", id)
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == "CONFLICT" and linked in failed.message
    await house.ask(UNDO, {"tx": linked})
    await house.ask(UNDO, {"tx": tx})
    assert await image_of(house, id) is None


async def test_the_deleted_is_there_again_with_its_links_and_what_went_along(house: Cloud, image: Any) -> None:
    (id, other), _ = await add(house, image(1, title="first", source="CAMERA"), image(2))
    summer, _ = await album(house, "summer", id, other)
    segment = 'mutation($id: ID!) { addImageSegment(input: [{image: {id: $id}, x: 0.5, label: "Ann"}]) { count } }'
    await house.ask(segment, {"id": id}, by="face-detector")
    before, dump = await image_of(house, id), await house.graph.dump()
    tx = await delete(house, id)
    assert await image_of(house, id) is None
    await house.ask(UNDO, {"tx": tx})
    assert await image_of(house, id) == before
    found = await house.ask(
        "query($id: ID!) { getImageImporter_Image(id: $id) { faceDetector_segments { label x } } }", {"id": id}
    )
    assert found["getImageImporter_Image"]["faceDetector_segments"] == [{"label": "Ann", "x": 0.5}]
    after = await house.graph.dump()
    plain = lambda nodes: {key: (one["fields"], one["links"]) for key, one in nodes.items()}  # noqa: E731
    assert plain(after["nodes"]) == plain(dump["nodes"])
    cover = await house.ask(
        "query($id: ID!) { getAlbum(id: $id) { cover { id } images { id } } }", {"id": summer}, by=APP
    )
    assert cover["getAlbum"]["cover"] == {"id": id}


async def test_links_that_nobody_can_take_any_more_are_named(house: Cloud, image: Any) -> None:
    (id, other), _ = await add(house, image(1), image(2))
    summer, _ = await album(house, "summer", id)
    tx = await delete(house, id)
    set_cover = (
        "mutation($a: ID!, $i: ID!) { updateAlbum(input: {filter: {id: [$a]}, set: {cover: {id: $i}}}) { count } }"
    )
    await house.ask(set_cover, {"a": summer, "i": other}, by=APP)
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert done["leftOut"] == [f"image-importer/Album/{summer} cover"]
    assert [one["id"] for one in (await image_of(house, id))["albums"]] == [summer]


async def test_what_was_made_again_is_left_alone(house: Cloud, image: Any) -> None:
    (id,), _ = await add(house, image(1, title="first"))
    tx = await delete(house, id)
    await add(house, image(1, title="anew"))
    failed = await house.fails(UNDO, {"tx": tx})
    assert "made again" in failed.message
    assert (await image_of(house, id))["title"] == "anew"


async def test_links_of_an_update_are_taken_back(house: Cloud, image: Any) -> None:
    (one, two), _ = await add(house, image(1), image(2))
    summer, _ = await album(house, "summer", one)
    query = "mutation($a: ID!, $i: ID!) { updateAlbum(input: {filter: {id: [$a]}, set: {images: [{id: $i}], cover: {id: $i}}}) { count } }"
    _, tx = await change(house, query, {"a": summer, "i": two})
    await house.ask(UNDO, {"tx": tx})
    found = await house.ask(
        "query($id: ID!) { getAlbum(id: $id) { cover { id } images { id } } }", {"id": summer}, by=APP
    )
    assert found["getAlbum"] == {"cover": {"id": one}, "images": [{"id": one}]}


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("nothing", "NOT_FOUND", "no transaction"),
        ("core", "REJECTED", "platform"),
        ("forgotten", "REJECTED", "forgotten"),
    ],
)
async def test_what_can_not_be_undone_says_why(house: Cloud, image: Any, what: str, code: str, words: str) -> None:
    (id,), tx = await add(house, image(1))
    if what == "nothing":
        tx = "0" * 32
    elif what == "core":
        await house.commands.write("owner", [NodeChange(Ref("core", "App", APP), "update", set={"title": "x"})])
        tx = await last_tx(house)
    else:
        await house.commands.forget("owner", [Ref(APP, "Image", id)])
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == code and words in failed.message


async def test_an_app_can_not_undo(house: Cloud, image: Any) -> None:
    _, tx = await add(house, image(1))
    for caller in (Caller("app", APP), Caller("owner", eyes=APP)):
        assert "undo" in (await house.fails(UNDO, {"tx": tx}, by=caller)).message
    assert (await house.ask(UNDO, {"tx": tx}, by=Caller("device", "phone")))["undo"]["entities"] == 1
