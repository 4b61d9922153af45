"""`undo`: the inverse of a transaction, whole or not at all; refused with the reasons if later changes depend on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.access.caller import Caller
from core.front.platform.undo import undo_fields
from core.graph.command import EntityChange, pointing, undo, undo_plan, undo_since
from core.graph.command.undo import Undoing
from core.graph.command.undo_plan import BOUNDS
from pcloud.errors import Unavailable
from pcloud.subject import Ref
from tests.integration.api.conftest import ADD, Cloud, grant

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
    """Return the answer, and the transaction of the undo."""
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


async def test_what_was_undone_and_done_again_can_be_undone_again(house: Cloud, image: Any) -> None:
    (id,), tx = await add(house, image(1))
    await house.ask(UNDO, {"tx": tx})
    first = await last_tx(house)
    await house.ask(UNDO, {"tx": first})
    assert await image_of(house, id) is not None
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert not done["repeated"] and await image_of(house, id) is None
    assert (await house.ask(UNDO, {"tx": tx}))["undo"]["repeated"]
    done = (await house.ask(UNDO, {"tx": first}))["undo"]
    assert not done["repeated"] and await image_of(house, id) is not None


async def test_where_nothing_is_left_to_be_undone_it_says_so(house: Cloud, image: Any) -> None:
    (id,), _ = await add(house, image(1))
    summer, _ = await album(house, "summer", id)
    query = "mutation($a: ID!) { updateAlbum(input: {filter: {id: [$a]}, remove: {cover: null}}) { count } }"
    _, tx = await change(house, query, {"a": summer})
    await delete(house, id)
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == "CONFLICT" and "nothing of" in failed.message and f"{summer} cover {id}" in failed.message


async def test_of_at_once_one_is_undone_and_too_many_are_refused(house: Cloud, image: Any) -> None:
    made = [await add(house, image(number)) for number in range(2)]
    undoing = Undoing(house.store, house.graph, house.loop, house.commands)
    asked = [undoing.undo("owner", tx) for _, tx in made for _ in range(10)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, BaseException)]
    assert len(refused) == 4 and all(isinstance(one, Unavailable) for one in refused)
    assert sum(not one.repeated for one in answers if not isinstance(one, BaseException)) == 2


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
    assert plain(after["entities"]) == plain(dump["entities"])
    cover = await house.ask(
        "query($id: ID!) { getAlbum(id: $id) { cover { id } images { id } } }", {"id": summer}, by=APP
    )
    assert cover["getAlbum"]["cover"] == {"id": id}


async def test_links_that_can_not_be_restored_are_named(house: Cloud, image: Any) -> None:
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
    await add(house, image(1, title="new again"))
    failed = await house.fails(UNDO, {"tx": tx})
    assert "made again" in failed.message
    assert (await image_of(house, id))["title"] == "new again"


async def test_what_was_deleted_and_made_again_since_is_another_one(house: Cloud, image: Any) -> None:
    (id,), created = await add(house, image(1, title="first"))
    tx = await update(house, id, title="second")
    await delete(house, id)
    await add(house, image(1, title="second"))
    for one in (tx, created):
        failed = await house.fails(UNDO, {"tx": one})
        assert failed.code == "CONFLICT" and f"made again since, by app:{APP}" in failed.message
        assert await last_tx(house) in failed.message
    assert (await image_of(house, id))["title"] == "second"


async def test_a_deletion_that_was_undone_stands_in_no_ones_way(house: Cloud, image: Any) -> None:
    (id,), created = await add(house, image(1, title="first"))
    tx = await update(house, id, title="second")
    await house.ask(UNDO, {"tx": await delete(house, id)})
    await house.ask(UNDO, {"tx": tx})
    assert (await image_of(house, id))["title"] == "first"
    await house.ask(UNDO, {"tx": created})
    assert await image_of(house, id) is None


BOOKS = """type Book {
  title: String
  sequel: Book @hasInverse(field: prequel)
  prequel: Book @hasInverse(field: sequel)
}"""


async def book(house: Cloud, title: str, **links: str) -> tuple[str, str]:
    query = "mutation($input: [AddBookInput!]!) { addBook(input: $input) { book { id } } }"
    value = {"title": title, **{name: {"id": id} for name, id in links.items()}}
    answer, tx = await change(house, query, {"input": [value]}, by="lib")
    return answer["addBook"]["book"][0]["id"], tx


async def link(house: Cloud, id: str, field: str, to: str) -> str:
    query = "mutation($id: ID!, $set: BookPatch!) { updateBook(input: {filter: {id: [$id]}, set: $set}) { count } }"
    return (await change(house, query, {"id": id, "set": {field: {"id": to}}}, by="lib"))[1]


async def linked(house: Cloud, id: str, field: str) -> str | None:
    query = f"query($id: ID!) {{ getBook(id: $id) {{ {field} {{ id }} }} }}"
    found = (await house.ask(query, {"id": id}, by="lib"))["getBook"][field]
    return found and found["id"]


@pytest.mark.parametrize("field", ["sequel", "prequel"])
@pytest.mark.parametrize("how", ["created", "updated"])
async def test_a_one_to_one_link_goes_back_to_whom_it_was_taken_from(house: Cloud, field: str, how: str) -> None:
    await house.install("lib", BOOKS)
    wanted, _ = await book(house, "wanted")
    holder, _ = await book(house, "holder", **{field: wanted})
    if how == "created":
        _, tx = await book(house, "taker", **{field: wanted})
    else:
        taker, _ = await book(house, "taker")
        tx = await link(house, taker, field, wanted)
    assert await linked(house, holder, field) is None
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert done["leftOut"] == [] and await linked(house, holder, field) == wanted
    await house.ask(UNDO, {"tx": await last_tx(house)})
    assert await linked(house, holder, field) is None


@pytest.mark.parametrize("since", ["another", "gone"])
async def test_whom_it_was_taken_from_keeps_what_it_has_since(house: Cloud, since: str) -> None:
    await house.install("lib", BOOKS)
    wanted, _ = await book(house, "wanted")
    holder, _ = await book(house, "holder", sequel=wanted)
    taker, tx = await book(house, "taker", sequel=wanted)
    if since == "another":
        other, _ = await book(house, "other")
        await link(house, holder, "sequel", other)
    else:
        query = "mutation($id: ID!) { deleteBook(filter: {id: [$id]}) { count } }"
        await house.ask(query, {"id": holder}, by="lib")
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert done["leftOut"] == [f"lib/Book/{holder} sequel"]
    if since == "another":
        assert await linked(house, holder, "sequel") == other
    assert (await house.ask("query($id: ID!) { getBook(id: $id) { id } }", {"id": taker}, by="lib"))["getBook"] is None


async def test_a_restored_link_takes_nothing_from_its_present_holder(house: Cloud) -> None:
    await house.install("lib", BOOKS)
    wanted, _ = await book(house, "wanted")
    holder, _ = await book(house, "holder", sequel=wanted)
    query = "mutation($id: ID!) { deleteBook(filter: {id: [$id]}) { count } }"
    _, tx = await change(house, query, {"id": holder}, by="lib")
    other, _ = await book(house, "other", sequel=wanted)
    done = (await house.ask(UNDO, {"tx": tx}))["undo"]
    assert done["leftOut"] == [f"lib/Book/{holder} sequel {wanted}"]
    assert await linked(house, other, "sequel") == wanted and await linked(house, holder, "sequel") is None


async def test_what_is_too_much_to_be_undone_is_refused(
    house: Cloud, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,), tx = await add(house, image(1))
    updated = await update(house, id, title="second", camera="Leica")
    await update(house, id, width=7)
    monkeypatch.setattr(undo_since, "MOST_READ", 0)
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == "REJECTED" and "changed more than" in failed.message
    for bounds, words in [({"events": 1}, "more than 1 events"), ({"size": 600}, "MiB of the past")]:
        monkeypatch.setattr(undo_plan, "BOUNDS", BOUNDS._replace(**bounds))
        failed = await house.fails(UNDO, {"tx": updated})
        assert failed.code == "REJECTED" and words in failed.message and "by hand" in failed.message
    monkeypatch.setattr(undo, "BOUNDS", BOUNDS._replace(size=100))
    failed = await house.fails(UNDO, {"tx": updated})
    assert failed.code == "REJECTED" and "by hand" in failed.message


async def test_who_pointed_to_what_was_deleted_is_not_looked_for_without_bound(
    house: Cloud, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointing, "MOST_READ", 1)
    (id,), _ = await add(house, image(1))
    await album(house, "summer", id)
    await album(house, "winter", id)
    deleted = await delete(house, id)
    failed = await house.fails(UNDO, {"tx": deleted})
    assert failed.code == "REJECTED" and "by hand" in failed.message
    monkeypatch.setattr(pointing, "MOST_READ", 100)
    await house.ask(UNDO, {"tx": deleted})
    assert len((await image_of(house, id))["albums"]) == 2


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
        ("nonsense", "NOT_FOUND", "no transaction"),
        ("core", "REJECTED", "platform"),
        ("forgotten", "REJECTED", "forgotten"),
    ],
)
async def test_what_can_not_be_undone_says_why(house: Cloud, image: Any, what: str, code: str, words: str) -> None:
    (id,), tx = await add(house, image(1))
    if what in ("nothing", "nonsense"):
        tx = "0" * 32 if what == "nothing" else "x" * 100_000
    elif what == "core":
        await house.commands.write("owner", [EntityChange(Ref("core", "App", APP), "update", set={"title": "x"})])
        tx = await last_tx(house)
    else:
        await house.commands.forget("owner", [Ref(APP, "Image", id)])
    failed = await house.fails(UNDO, {"tx": tx})
    assert failed.code == code and words in failed.message


async def test_an_app_by_itself_can_not_undo(house: Cloud, image: Any) -> None:
    _, tx = await add(house, image(1))
    assert "undo" in (await house.fails(UNDO, {"tx": tx}, by=Caller("app", APP))).message
    phone = Caller("device", "phone", scopes=frozenset({"manage"}))
    assert (await house.ask(UNDO, {"tx": tx}, by=phone))["undo"]["entities"] == 1


PAGE = Caller("person", "owner", through=APP)


async def test_through_an_app_what_was_done_through_it_is_undone(house: Cloud, image: Any) -> None:
    await house.ask(ADD, {"input": [image(1)]}, by=PAGE)
    made = await last_tx(house)
    done = (await house.ask(UNDO, {"tx": made}, by=PAGE))["undo"]
    assert not done["repeated"] and done["leftOut"] == []
    (event,) = [event async for event in house.store.read(await house.last(), await house.last())]
    assert (event.kind.value, event.actor, event.through) == ("deleted", "person:owner", APP)
    await house.ask(UNDO, {"tx": event.tx}, by=PAGE)
    assert (await house.ask("{ queryImage { title } }", by=APP))["queryImage"] == [{"title": "picture 1"}]


@pytest.mark.parametrize("by", ["owner", "the app itself", "through another app", "never"])
async def test_through_an_app_nothing_else_is_undone_or_told_from_what_never_was(
    house: Cloud, image: Any, by: str
) -> None:
    tx = "0" * 32
    if by == "owner":
        value = {"input": [{**image(1), "source": "PHONE"}]}
        add_as_owner = ADD.replace("AddImageInput", "AddImageImporter_ImageInput").replace(
            "addImage", "addImageImporter_Image"
        )
        await house.ask(add_as_owner.replace(" image {", " imageImporter_Image {"), value)
        tx = await last_tx(house)
    elif by == "the app itself":
        _, tx = await add(house, image(1))
    elif by == "through another app":
        await house.install("painter", "", [grant("painter", "write", "image-importer/Image")])
        await house.ask(ADD, {"input": [image(1)]}, by=Caller("person", "owner", through="painter"))
        tx = await last_tx(house)
    failed = await house.fails(UNDO, {"tx": tx}, by=PAGE)
    assert failed.code == "NOT_FOUND" and failed.message.replace(tx, "TX") == (
        "there is no transaction 'TX' of the last 90 days: `pcloud graph history` names an entity's"
    )


async def test_through_an_app_nothing_is_undone_that_it_may_not_write_any_more(house: Cloud, image: Any) -> None:
    painter = Caller("person", "owner", through="painter")
    await house.install("painter", "", [grant("painter", "write", "image-importer/Image")])
    await house.ask(ADD, {"input": [image(1)]}, by=painter)
    tx = await last_tx(house)
    await house.install("painter", "", [grant("painter", "read", "image-importer/Image")])
    assert (await house.fails(UNDO, {"tx": tx}, by=painter)).code == "CONFLICT"
    assert len((await house.ask("{ queryImage { id } }", by=APP))["queryImage"]) == 1


async def test_through_an_app_what_cascades_into_another_apps_types_is_not_undone(house: Cloud, image: Any) -> None:
    """Its answer reveals nothing that the app does not see."""
    (id,), _ = await add(house, image(1))
    segment = "mutation($image: ImageRef!) { addImageSegment(input: [{x: 1, image: $image}]) { count } }"
    await house.ask(segment, {"image": {"id": id}}, by="face-detector")
    await house.ask("mutation($id: ID!) { deleteImage(filter: {id: [$id]}) { count } }", {"id": id}, by=PAGE)
    tx = await last_tx(house)
    failed = await house.fails(UNDO, {"tx": tx}, by=PAGE)
    assert failed.code == "CONFLICT" and "egment" not in failed.message and "face" not in failed.message
    assert (await house.ask(UNDO, {"tx": tx}))["undo"]["entities"] == 2


async def test_through_an_app_later_changes_that_it_does_not_see_are_not_named(house: Cloud, image: Any) -> None:
    await house.ask(ADD, {"input": [image(1)]}, by=PAGE)
    tx = await last_tx(house)
    (found,) = (await house.ask("{ queryImage { id } }", by=APP))["queryImage"]
    query = "mutation($id: ID!) { updateImage(input: {filter: {id: [$id]}, set: {faceCount: 3}}) { count } }"
    await house.ask(query, {"id": found["id"]}, by="face-detector")
    failed = await house.fails(UNDO, {"tx": tx}, by=PAGE)
    assert failed.code == "CONFLICT" and "face" not in failed.message
