"""What was not granted does not exist: not in the schema, filters, order, search, history, events or errors."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.caller import Caller
from tests.integration.api.conftest import ADD, DETECTOR, Cloud, grant

INTROSPECT = "{ __schema { types { name fields { name } inputFields { name } enumValues { name } } } }"


async def names(cloud: Cloud, by: str | Caller) -> dict[str, set[str]]:
    types = (await cloud.ask(INTROSPECT, by=by))["__schema"]["types"]
    return {
        one["name"]: {inner["name"] for part in ("fields", "inputFields", "enumValues") for inner in one[part] or ()}
        for one in types
    }


async def test_the_schema_holds_only_what_was_granted(cloud: Cloud) -> None:
    importer, detector, photos = [await names(cloud, app) for app in ("image-importer", "face-detector", "photos")]
    for type_ in (
        "Image",
        "ImageFilter",
        "ImageHasFilter",
        "ImageAggregateResult",
        "ImageOrderable",
        "ImageGroup",
        "AddImageInput",
    ):
        assert not {name for name in importer[type_] if name.startswith(("segments", "faceCount"))}, type_
    assert "ImageSegment" not in importer and "Album" in importer
    assert {"segments", "faceCount"} <= detector["Image"] and "albums" not in detector["Image"], "Album was not granted"
    assert detector["ImagePatch"] == {"segments", "faceCount"} and "addImage" not in detector["Mutation"]
    assert "segments" in photos["Image"] and "faceCount" not in photos["Image"], "only what `fields` lists"
    assert "Mutation" not in photos
    assert not any("App" in name or "Grant" in name for name in (*importer, *detector, *photos))


async def test_the_owner_sees_all_under_long_names_and_changes_nothing_of_the_platforms(
    cloud: Cloud, image: Any
) -> None:
    owner = await names(cloud, Caller("person", "owner"))
    assert {"ImageImporter_Image", "FaceDetector_ImageSegment", "Core_App"} <= owner.keys()
    assert {"faceDetector_segments", "title"} <= owner["ImageImporter_Image"]
    assert "addImageImporter_Image" in owner["Mutation"] and not any("Core_" in name for name in owner["Mutation"])
    await cloud.ask(
        ADD.replace("AddImageInput", "AddImageImporter_ImageInput")
        .replace("addImage", "addImageImporter_Image")
        .replace(" image {", " imageImporter_Image {"),
        {"input": [image(1)]},
    )
    assert (await cloud.ask("{ queryCore_App { name } queryImageImporter_Image { width } }"))[
        "queryImageImporter_Image"
    ] == [{"width": 101}]


@pytest.mark.parametrize(
    "query",
    [
        "{ queryImageSegment { id } }",
        "{ queryImage { segments { id } } }",
        "{ queryImage { faceCount } }",
        "{ queryImage(filter: {segments: {}}) { id } }",
        "{ queryImage(filter: {has: [segments]}) { id } }",
        "{ queryImage(order: {asc: faceCount}) { id } }",
        "{ aggregateImage { faceCountMax } }",
        "{ aggregateImage { group(by: faceCount) { count } } }",
        '{ nodeHistory(type: "ImageSegment", id: "x") { kind } }',
        '{ nodeHistory(type: "face-detector/ImageSegment", id: "x") { kind } }',
        '{ search(text: "", types: ["ImageSegment"]) { total } }',
        '{ search(text: "", filter: {facets: [{field: "faceCount", values: ["1"]}]}) { total } }',
        '{ search(text: "", order: "face-detector/faceCount") { total } }',
        "mutation { addImageSegment(input: []) { count } }",
        "mutation { updateImage(input: {filter: {}, set: {faceCount: 1}}) { count } }",
        "subscription { imageSegmentEvents { id } }",
    ],
)
async def test_what_is_hidden_is_answered_as_if_it_did_not_exist(cloud: Cloud, query: str) -> None:
    failed = await cloud.fails(query, by="image-importer")
    assert failed.code == "REJECTED"
    assert "detector" not in failed.message.replace("face-detector/ImageSegment", "").replace(
        "face-detector/faceCount", ""
    )
    made_up = (
        query.replace("egments", "omethings").replace("ImageSegment", "ImageSomething").replace("faceCount", "madeUp")
    )
    assert (await cloud.fails(made_up, by="image-importer")).code == failed.code


async def test_another_apps_fields_are_in_no_history_that_was_not_granted(cloud: Cloud, image: Any) -> None:
    id = (await cloud.ask(ADD, {"input": [image(1)]}, by="image-importer"))["addImage"]["image"][0]["id"]
    await cloud.ask("mutation { updateImage(input: {filter: {}, set: {faceCount: 2}}) { count } }", by="face-detector")
    query = 'query($id: ID!) { nodeHistory(type: "Image", id: $id) { kind change } }'
    assert [one["kind"] for one in (await cloud.ask(query, {"id": id}, by="photos"))["nodeHistory"]] == ["created"]


async def test_a_view_changes_with_its_grants_and_no_other_does(cloud: Cloud) -> None:
    photos, importer, owner = cloud.views.app("photos"), cloud.views.app("image-importer"), cloud.views.owner()
    await cloud.install("photos", "", [grant("photos", "read", "image-importer/Image", state="rejected")])
    assert cloud.views.app("photos") is not photos and "Image" not in cloud.views.app("photos").types
    assert cloud.views.app("image-importer") is importer and cloud.views.owner() is owner
    failed = await cloud.fails("{ queryImage { id } }", by="photos")
    assert failed.code == "REJECTED"


async def test_an_installed_app_changes_no_query_of_another(cloud: Cloud, image: Any) -> None:
    await cloud.ask(ADD, {"input": [image(1)]}, by="image-importer")
    query = "{ queryImage { title width } }"
    before = await cloud.ask(query, by="image-importer")
    await cloud.install(
        "scanner", "type Image { pages: Int! @search(by: [int]) }", [grant("scanner", "read", "image-importer/Image")]
    )
    assert await cloud.ask(query, by="image-importer") == before
    assert {"Image", "ImageImporter_Image"} <= cloud.views.app("scanner").types.keys()
    await cloud.ask("mutation { addImage(input: [{pages: 3}]) { count } }", by="scanner")
    assert await cloud.ask("{ queryImage { pages } queryImageImporter_Image { width } }", by="scanner") == {
        "queryImage": [{"pages": 3}], "queryImageImporter_Image": [{"width": 101}],
    }  # fmt: skip


async def test_an_alias_settles_a_clash(cloud: Cloud) -> None:
    await cloud.install(
        "scanner", "type Image { pages: Int }", [grant("scanner", "write", "image-importer/Image", as_="Photo")]
    )
    found = await names(cloud, "scanner")
    assert "place" in found["Photo"] and {"addPhoto", "deletePhoto", "updatePhoto"} <= found["Mutation"]


async def test_the_owner_through_an_apps_eyes_sees_what_the_app_sees(cloud: Cloud) -> None:
    assert await names(cloud, Caller("person", "owner", through="photos")) == await names(cloud, "photos")
    failed = await cloud.fails("{ revision }", by=Caller("person", "owner", through="nothing-installed"))
    assert failed.code == "NOT_FOUND" and cloud.status == 404


async def test_views_are_the_same_after_a_restart(cloud: Cloud) -> None:
    from core.graph.schema import ViewRegistry, builtin_catalog
    from projections.directory import open_directory

    again = ViewRegistry(await open_directory(cloud.store, builtin_catalog()))
    for app in ("image-importer", "face-detector", "photos"):
        assert again.app(app).types.keys() == cloud.views.app(app).types.keys()
        assert again.app(app).searchable() == cloud.views.app(app).searchable()
    assert "ImageSegment" in DETECTOR
