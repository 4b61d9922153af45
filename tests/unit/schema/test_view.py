"""Views: names are unique, hidden types and fields do not exist, and every generated schema is valid GraphQL."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import validate_schema
from hypothesis import given
from hypothesis import strategies as st

from core.graph.schema import View, app_access, build_view, builtin_catalog, owner_access, parse_schema
from pcloud.errors import Rejected
from projections.directory import Grant
from projections.graph.catalog import Catalog, merge
from projections.graph.contract import Compare, Every, HasRelated

PHOTOS = parse_schema(
    "image-importer",
    "enum Kind { A B } type Album { name: String @search } "
    "type Image { title: String @search(by: [term]) kind: Kind at: DateTime size: Int @search albums: [Album!] }",
    others=Catalog(),
)
FACES = parse_schema(
    "face-detector",
    "enum Kind { C } type Face { image: Image @hasInverse(field: faces) kind: Kind } "
    'extend type Image @from(app: "image-importer") { faces: [Face!] title: String }',
    others=merge([PHOTOS]),
)
CATALOG = merge([builtin_catalog(), PHOTOS, FACES])


def view_of(app: str, *grants: tuple[Any, str, tuple[str, ...], str]) -> View:
    made = [Grant(app, verb, target, fields, as_, state="approved") for verb, target, fields, as_ in grants]
    return build_view(app, CATALOG, app_access(app, CATALOG, made))


def read(target: str, *fields: str, as_: str = "") -> tuple[Any, str, tuple[str, ...], str]:
    return "read", target, fields, as_


def test_the_owners_names() -> None:
    view = build_view("", CATALOG, owner_access(CATALOG))
    assert {"ImageImporter_Image", "FaceDetector_Face", "Core_App"} <= view.types.keys()
    assert {"title", "faceDetector_title", "faceDetector_faces"} <= view.types["ImageImporter_Image"].fields.keys()
    assert view.enums == {"ImageImporter_Kind": ("A", "B"), "FaceDetector_Kind": ("C",)}
    assert not view.types["Core_App"].addable and not view.types["Core_App"].updatable
    assert validate_schema(view.schema) == []


def test_a_field_that_clashes_takes_the_long_name() -> None:
    view = view_of("face-detector", ("extend", "image-importer/Image", (), ""))
    fields = view.types["Image"].fields
    assert fields["title"].stored == "title" and fields["faceDetector_title"].stored == "face-detector/title"
    assert fields["faces"].writable and not fields["title"].writable and "albums" not in fields
    assert validate_schema(view.schema) == []


def test_listed_fields_alone_are_added_to_a_grant() -> None:
    view = view_of("x", read("image-importer/Image", "face-detector/title"))
    assert view.types["Image"].fields.keys() == {"title", "kind", "at", "size", "faceDetector_title"}
    with_faces = view_of("x", read("image-importer/Image", "face-detector/faces"), read("face-detector/Face"))
    assert "faces" in with_faces.types["Image"].fields
    assert with_faces.searchable() == {
        "image-importer/Image": {"title", "size"}, "face-detector/Face": {"image.title", "image.size"},
    }  # fmt: skip


def test_enums_of_two_apps_stay_apart() -> None:
    view = view_of("face-detector", read("image-importer/Image"))
    assert view.enums == {"Kind": ("C",), "ImageImporter_Kind": ("A", "B")}


@pytest.mark.parametrize("state", ["pending", "rejected"])
def test_only_approved_grants_count(state: Any) -> None:
    access = app_access("x", CATALOG, [Grant("x", "read", "image-importer/Image", state=state)])
    assert not access
    view = build_view("x", CATALOG, access)
    assert not view.types and validate_schema(view.schema) == []


def test_filters_are_translated_and_held_to_the_schema() -> None:
    view = view_of("x", read("image-importer/Image", "face-detector/faces"), read("face-detector/Face"))
    assert view.filter("Image", {"size": {"ge": 1, "lt": 5.0}}) == Every(
        (Compare("size", "ge", 1), Compare("size", "lt", 5))
    )
    assert view.filter("Image", {"faces": {}}) == HasRelated("face-detector/faces", Every(()))
    for where, word in (
        ({"nothing": {"eq": 1}}, "nothing"), ({"size": 1}, "operator"), ({"size": {"like": 1}}, "like"), ({"size": {"eq": "x"}}, "Int"),
        ({"size": {"between": [1, 2]}}, "min"), ({"kind": {"eq": "A"}}, "@search"), ({"at": {"eq": "x"}}, "@search"),
        ({"id": "a.b"}, "id"), ({"has": "nothing"}, "nothing"),
        ({"title": {"anyofterms": 3}}, "text"), ({"size": {"in": list(range(1001))}}, "1000"),
    ):  # fmt: skip
        with pytest.raises(Rejected, match=word):
            view.filter("Image", where)
    with pytest.raises(Rejected, match="Picture"):
        view.filter("Picture", {})


NAMES = st.sampled_from(["A", "AFilter", "AddAInput", "A_B", "B", "AB", "AOrder", "Ref", "ARef", "Kind", "XFilter"])
APPS = st.sampled_from(["a", "b", "a-b", "add-a", "x"])


@given(st.dictionaries(APPS, st.sets(NAMES, min_size=1, max_size=5), min_size=1, max_size=4))
def test_whatever_apps_call_their_types_every_view_is_valid(apps: dict[str, set[str]]) -> None:
    catalogs = []
    for app, names in apps.items():
        for name in sorted(names):
            try:  # what one app may not declare together is refused; apps know nothing of each other
                kept = [one for one in catalogs if one[0] == app]
                text = " ".join([*(one[1] for one in kept), f"type {name} {{ x: Int @search next: {name} }}"])
                parse_schema(app, text, others=Catalog())
                catalogs.append((app, f"type {name} {{ x: Int @search next: {name} }}"))
            except Rejected:
                continue
    by_app = {app: " ".join(text for owner, text in catalogs if owner == app) for app in apps}
    catalog = merge([parse_schema(app, text, others=Catalog()) for app, text in by_app.items() if text])
    grants = [Grant("x", "write", name, state="approved") for name in catalog.types]
    for view in (
        build_view("", catalog, owner_access(catalog)),
        build_view("x", catalog, app_access("x", catalog, grants)),
    ):
        assert view.types.keys() == {one.name for one in view.by_stored.values()} and len(view.types) == len(
            catalog.types
        )
        assert validate_schema(view.schema) == []


@pytest.mark.parametrize("alias", ["Query", "bad name", "{}", "__X", "Face", "A__b", "imageFilter"])
def test_an_alias_that_does_not_fit_leaves_a_valid_view(alias: str) -> None:
    view = view_of("face-detector", read("image-importer/Image", as_=alias))
    assert validate_schema(view.schema) == [] and len(view.types) == 2
    assert view.by_stored["image-importer/Image"].name in ("Image", "ImageImporter_Image")
