"""Queries end to end: every operator, nested filters, order, pages, aggregates, histories, search."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.caller import Caller
from tests.integration.api.conftest import ADD, Cloud

APP = "image-importer"

IMAGES = [
    {
        "title": "Sunset over the sea",
        "camera": "Canon",
        "size": "10",
        "latitude": 1.5,
        "hidden": True,
        "source": "CAMERA",
    },
    {
        "title": "Harbour at Night",
        "camera": "Nikon",
        "size": "5000000000",
        "latitude": -2.0,
        "keywords": ["boat", "night"],
    },
    {"title": None, "camera": "Canon", "keywords": ["boat"]},
    {"title": "sea and boat", "latitude": 48.25, "takenAt": None},
]


@pytest.fixture
async def filled(cloud: Cloud, image: Any) -> Cloud:
    await cloud.ask(ADD, {"input": [image(number, **more) for number, more in enumerate(IMAGES)]}, by=APP)
    return cloud


async def found(cloud: Cloud, where: dict[str, Any], by: str | Caller = APP) -> list[int]:
    """The numbers of the images that match."""
    query = "query($f: ImageFilter) { queryImage(filter: $f, order: [{asc: width}]) { width } }"
    return [row["width"] - 100 for row in (await cloud.ask(query, {"f": where}, by=by))["queryImage"]]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({}, [0, 1, 2, 3]),
        ({"mime": {"eq": "image/jpeg"}}, [0, 1, 2, 3]),
        ({"camera": {"eq": "Canon"}}, [0, 2]),
        ({"camera": {"eq": None}}, [3]),
        ({"camera": {"in": ["Nikon", "Leica"]}}, [1]),
        ({"width": {"in": []}}, []),
        ({"width": {"ge": 102}}, [2, 3]),
        ({"width": {"gt": 102}}, [3]),
        ({"width": {"le": 101}}, [0, 1]),
        ({"width": {"lt": 101}}, [0]),
        ({"width": {"between": {"min": 101, "max": 102}}}, [1, 2]),
        ({"width": {"ge": 101, "lt": 103}}, [1, 2]),
        ({"size": {"gt": 4_000_000_000}}, [1]),
        ({"size": {"eq": "10"}}, [0]),
        ({"latitude": {"le": 1.5}}, [0, 1]),
        ({"hidden": {"eq": True}}, [0]),
        ({"source": {"eq": "CAMERA"}}, [0]),
        ({"source": {"in": ["CAMERA", "PHONE"]}}, [0, 1, 2, 3]),
        ({"takenAt": {"ge": "2024-02-01T09:00:00+01:00"}}, [1, 2]),
        ({"takenAt": {"lt": "2024-02-01T08:00:00.001Z"}}, [0, 1]),
        ({"title": {"anyofterms": "NIGHT sea"}}, [0, 1, 3]),
        ({"title": {"allofterms": "sea boat"}}, [3]),
        ({"title": {"regexp": "^H.*t$"}}, [1]),
        ({"title": {"regexp": "/SUNSET/i"}}, [0]),
        ({"keywords": {"eq": "boat"}}, [1, 2]),
        ({"keywords": {"in": ["night"]}}, [1]),
        ({"has": ["title"]}, [0, 1, 3]),
        ({"has": ["title", "camera"]}, [0, 1]),
        ({"not": {"has": ["title"]}}, [2]),
        ({"and": [{"camera": {"eq": "Canon"}}, {"hidden": {"eq": False}}]}, [2]),
        ({"or": [{"camera": {"eq": "Nikon"}}, {"width": {"eq": 100}}]}, [0, 1]),
        ({"or": [{"camera": {"eq": "Nikon"}}, {"width": {"eq": 100}}], "hidden": {"eq": True}}, [0]),
        ({"not": {"or": [{"camera": {"eq": "Nikon"}}, {"width": {"eq": 100}}]}}, [2, 3]),
        ({"sha256": {"eq": f"{2:064d}"}}, [2]),
        ({"id": ["nothing"]}, []),
    ],
)
async def test_a_filter_finds_exactly(filled: Cloud, where: dict[str, Any], numbers: list[int]) -> None:
    assert await found(filled, where) == numbers


async def test_filters_reach_through_relations(filled: Cloud) -> None:
    add = "mutation($i: [AddImageSegmentInput!]!) { addImageSegment(input: $i) { count } }"
    faces = [
        {"image": {"sha256": f"{n:064d}"}, "x": 0.5, "label": label}
        for n, label in ((0, "Ada"), (0, "Ben"), (2, "Ada"))
    ]
    await filled.ask(add, {"i": faces}, by="face-detector")
    assert await found(filled, {"segments": {"label": {"eq": "Ada"}}}, "photos") == [0, 2]
    assert await found(filled, {"segments": {"label": {"anyofterms": "ben"}}}, "photos") == [0]
    assert await found(filled, {"has": ["segments"]}, "photos") == [0, 2]
    assert await found(filled, {"not": {"segments": {}}}, "photos") == [1, 3]
    deep = {"f": {"image": {"segments": {"label": {"eq": "Ben"}}}}}
    rows = await filled.ask(
        "query($f: ImageSegmentFilter) { queryImageSegment(filter: $f) { label } }", deep, by="photos"
    )
    assert sorted(row["label"] for row in rows["queryImageSegment"]) == ["Ada", "Ben"]


async def test_lists_are_ordered_and_those_without_a_value_come_last(filled: Cloud) -> None:
    async def order(given: str) -> list[int]:
        rows = await filled.ask(f"{{ queryImage(order: {given}) {{ width }} }}", by=APP)
        return [row["width"] - 100 for row in rows["queryImage"]]

    assert await order("{asc: latitude}") == [1, 0, 3, 2]
    assert await order("[{desc: latitude}]") == [3, 0, 1, 2]
    assert await order("[{asc: camera}, {desc: width}]") == [2, 0, 1, 3]
    failed = await filled.fails("{ queryImage(order: [{asc: width, desc: title}]) { id } }", by=APP)
    assert failed.code == "REJECTED"


async def test_pages_by_offset_and_by_cursor_give_each_once(filled: Cloud) -> None:
    by_offset = [
        row["width"]
        for offset in range(0, 4, 2)
        for row in (
            await filled.ask(
                f"{{ queryImage(first: 2, offset: {offset}, order: {{desc: latitude}}) {{ width }} }}", by=APP
            )
        )["queryImage"]
    ]
    by_cursor: list[int] = []
    after = None
    while True:
        query = "query($a: String) { queryImage(first: 1, after: $a, order: {desc: latitude}) { width _cursor } }"
        rows = (await filled.ask(query, {"a": after}, by=APP))["queryImage"]
        if not rows:
            break
        by_cursor.append(rows[0]["width"])
        after = rows[0]["_cursor"]
    assert by_cursor == by_offset == [103, 100, 101, 102]
    assert (await filled.fails('{ queryImage(after: "rubbish") { id } }', by=APP)).code == "REJECTED"


async def test_each_parents_children_are_paged_by_themselves(filled: Cloud) -> None:
    for name, numbers in (("a", (0, 1, 2)), ("b", (2, 3))):
        refs = [{"sha256": f"{n:064d}"} for n in numbers]
        await filled.ask(
            "mutation($n: String!, $i: [ImageRef!]) { addAlbum(input: [{name: $n, images: $i}]) { count } }",
            {"n": name, "i": refs},
            by=APP,
        )
    query = """{ queryAlbum(order: {asc: name}) {
      newest: images(first: 2, order: {desc: width}) { width }
      canons: images(filter: {camera: {eq: "Canon"}}, order: {asc: width}) { width }
      imagesAggregate { count latitudeMax }
      some: imagesAggregate(filter: {camera: {eq: "Canon"}}) { n: count }
    } }"""
    assert (await filled.ask(query, by=APP))["queryAlbum"] == [
        {
            "newest": [{"width": 102}, {"width": 101}], "canons": [{"width": 100}, {"width": 102}],
            "imagesAggregate": {"count": 3, "latitudeMax": 1.5}, "some": {"n": 2},
        },
        {
            "newest": [{"width": 103}, {"width": 102}], "canons": [{"width": 102}],
            "imagesAggregate": {"count": 2, "latitudeMax": 48.25}, "some": {"n": 1},
        },
    ]  # fmt: skip


async def test_aggregates_and_groups(filled: Cloud) -> None:
    query = """{ aggregateImage {
      n: count widthMin widthMax widthSum widthAvg titleMin takenAtMax
      cameras: group(by: camera) { value count }
      months: group(by: takenAt_month, first: 2) { value count __typename }
      group(by: hidden) { value count }
    } }"""
    answer = (await filled.ask(query, by=APP))["aggregateImage"]
    groups = answer.pop("cameras")
    assert answer == {
        "n": 4, "widthMin": 100, "widthMax": 103, "widthSum": 406, "widthAvg": 101.5, "titleMin": "Harbour at Night",
        "takenAtMax": "2024-03-01T08:00:00.000Z",
        "months": [{"value": month, "count": 1, "__typename": "GroupCount"} for month in ("2024-03", "2024-02")],
        "group": answer["group"],
    }  # fmt: skip
    assert {(one["value"], one["count"]) for one in answer["group"]} == {("false", 3), ("true", 1)}
    assert {(one["value"], one["count"]) for one in groups} == {("Canon", 2), ("Nikon", 1), (None, 1)}
    assert (await filled.ask('{ aggregateImage(filter: {camera: {eq: "Canon"}}) { count } }', by=APP))[
        "aggregateImage"
    ] == {"count": 2}


async def test_aliases_fragments_and_conditions_shape_the_answer(filled: Cloud) -> None:
    query = """query Q($yes: Boolean!, $first: Int = 1) {
      one: queryImage(first: $first, order: {asc: width}) {
        ...Basics kind: __typename title @skip(if: $yes) ... on Image @include(if: $yes) { w: width }
      }
      __typename
    }
    fragment Basics on Image { picture: place ... { mime } }"""
    base = {"picture": "images/0.jpg", "mime": "image/jpeg", "kind": "Image"}
    assert await filled.ask(query, {"yes": True}, by=APP) == {"one": [base | {"w": 100}], "__typename": "Query"}
    assert await filled.ask(query, {"yes": False}, by=APP) == {
        "one": [base | {"title": "Sunset over the sea"}],
        "__typename": "Query",
    }


async def test_one_is_found_by_its_id_or_its_id_field(filled: Cloud) -> None:
    sha = f"{1:064d}"
    row = (await filled.ask("query($s: String) { getImage(sha256: $s) { id _version width } }", {"s": sha}, by=APP))[
        "getImage"
    ]
    assert row["width"] == 101 and row["_version"] > 0
    assert await filled.ask("query($id: ID) { getImage(id: $id) { width } }", {"id": row["id"]}, by=APP) == {
        "getImage": {"width": 101}
    }
    assert await filled.ask('{ getImage(id: "missing") { width } }', by=APP) == {"getImage": None}
    assert (await filled.fails("{ getImage { width } }", by=APP)).code == "REJECTED"
    assert (await filled.fails('{ getImage(id: "a b") { width } }', by=APP)).code == "REJECTED"


async def test_a_history_tells_what_happened_newest_first(filled: Cloud) -> None:
    id = (await filled.ask(f'{{ getImage(sha256: "{0:064d}") {{ id }} }}', by=APP))["getImage"]["id"]
    await filled.ask(
        'mutation { updateImage(input: {filter: {width: {eq: 100}}, set: {title: null, camera: "Leica"}}) { count } }',
        by=APP,
    )
    await filled.ask(
        "mutation($id: ID!) { updateImage(input: {filter: {id: [$id]}, set: {faceCount: 3}}) { count } }",
        {"id": id},
        by="face-detector",
    )
    query = 'query($id: ID!) { nodeHistory(type: "Image", id: $id) { kind actor change time revision } }'
    first, second = (await filled.ask(query, {"id": id}, by=APP))["nodeHistory"]
    assert (first["kind"], first["actor"], first["change"]) == (
        "updated",
        "app:image-importer",
        {"set": {"camera": "Leica"}, "unset": ["title"]},
    )
    assert second["kind"] == "created" and second["change"]["set"]["camera"] == "Canon"
    all_of_it = (await filled.ask(query.replace('"Image"', '"ImageImporter_Image"'), {"id": id}))["nodeHistory"]
    assert all_of_it[0]["change"]["set"] == {"faceDetector_faceCount": 3}
    assert (await filled.ask('{ nodeHistory(type: "Image", id: "missing") { kind } }', by=APP)) == {"nodeHistory": []}


SEARCH = """query($t: String!, $f: SearchFilter, $types: [String!], $c: [String!], $o: String) {
  search(text: $t, filter: $f, types: $types, count: $c, order: $o) {
    total hits { type id node { ... on Image { width } } } facets { field values { value count } }
  }
}"""


async def searched(cloud: Cloud, text: str, by: str = APP, **more: Any) -> Any:
    answer = await cloud.ask(SEARCH, {"t": text, **more}, by=by, headers={"Pcloud-Revision": cloud.revision})
    return answer["search"]


async def test_search_finds_within_the_view_and_counts_facets(filled: Cloud) -> None:
    answer = await searched(filled, "sea", c=["camera"])
    assert answer["total"] == 2
    assert {hit["node"]["width"] for hit in answer["hits"]} == {100, 103}
    assert answer["facets"] == [{"field": "camera", "values": [{"value": "Canon", "count": 1}]}]
    narrowed = await searched(filled, "", f={"facets": [{"field": "camera", "values": ["Canon"]}]})
    assert {hit["node"]["width"] for hit in narrowed["hits"]} == {100, 102}
    ranged = await searched(filled, "", f={"ranges": [{"field": "width", "low": 101, "high": 102}]}, o="width")
    assert [hit["node"]["width"] for hit in ranged["hits"]] == [102, 101]
    late = await searched(filled, "", f={"ranges": [{"field": "takenAt", "low": "2024-03-01T00:00:00Z"}]})
    assert [hit["node"]["width"] for hit in late["hits"]] == [102]


async def test_a_label_finds_its_picture_for_those_who_may_see_it(filled: Cloud) -> None:
    add = "mutation($i: [AddImageSegmentInput!]!) { addImageSegment(input: $i) { count } }"
    await filled.ask(
        add, {"i": [{"image": {"sha256": f"{2:064d}"}, "x": 0.5, "label": "Grandmother"}]}, by="face-detector"
    )
    seen = await searched(filled, "grandmother", by="photos", types=["Image"])
    assert [hit["node"] for hit in seen["hits"]] == [{"width": 102}]
    assert (await searched_plain(filled, "grandmother"))["total"] == 0
    failed = await filled.fails('{ search(text: "", count: ["segments.label"]) { total } }', by=APP)
    assert failed.code == "REJECTED" and "segments.label" in failed.message


async def searched_plain(cloud: Cloud, text: str) -> Any:
    query = "query($t: String!) { search(text: $t) { total hits { id } } }"
    return (await cloud.ask(query, {"t": text}, by=APP, headers={"Pcloud-Revision": cloud.revision}))["search"]


async def test_a_revision_of_another_log_is_refused(filled: Cloud) -> None:
    failed = await filled.fails("{ revision }", headers={"Pcloud-Revision": "otherlog.3"})
    assert failed.code == "REJECTED"
    assert filled.status == 400
