"""Whether an app may come in, given what is installed."""

from __future__ import annotations

import pytest

from core.app.admission import check_needs, check_roles, dependents, own_catalog
from core.app.archive import read_archive
from core.app.review import review
from core.schema import builtin_catalog, parse_schema
from pcloud.errors import Conflict, Rejected
from pcloud.manifest import Action, Init, Manifest, Run, Use
from projections.graph.catalog import merge

from .conftest import make_tar

IMAGES = parse_schema("images", "type Image { place: String! }", others=builtin_catalog())
INSTALLED = merge([builtin_catalog(), IMAGES])
STORE = Manifest("store", "1.0.0", provides=["object-storage"], actions=[Action("get-object")])
IMPORTER = Manifest("images", "1.0.0", uses=[Use(call="role:object-storage/get-object")])


def catalog_of(schema: str, uses: str):
    manifest = f"name: faces\nversion: 1.0.0\nschema: schema.graphql\nuses: [{uses}]\n".encode()
    return own_catalog(read_archive(make_tar([("app.yaml", manifest), ("schema.graphql", schema.encode())])), INSTALLED)


def test_a_schema_extends_only_what_was_asked_for():
    schema = 'extend type Image @from(app: "images") { faceCount: Int }'
    assert set(catalog_of(schema, "extend: images/Image").extensions) == {"images/Image"}
    with pytest.raises(Rejected, match=r"extends images/Image: add `- extend: images/Image`"):
        catalog_of(schema, "read: images/Image")


def test_a_schema_points_only_to_what_was_asked_for():
    schema = 'extend type Image @from(app: "images")\ntype Face { image: Image }'
    catalog = catalog_of(schema, "read: images/Image")
    assert catalog.types["faces/Face"].fields["image"].target == "images/Image"
    with pytest.raises(Rejected, match=r"Face\.image points to images/Image: add `- read: images/Image`"):
        catalog_of(schema, "call: a/b")


def test_everything_that_is_missing_is_named_at_once():
    manifest = Manifest(
        "x", "1.0.0",
        uses=[
            Use(read="gone/Type"), Use(call="role:mail/send"), Use(call="store/fly"), Use(call="nobody/home"),
            Use(call="role:object-storage/get-object"), Use(read="other/Optional", optional=True), Use(read="images/Image"),
        ],
    )  # fmt: skip
    with pytest.raises(Rejected) as error:
        check_needs(manifest, {"store": STORE}, INSTALLED)
    assert str(error.value) == (
        "x needs what is not installed: the type gone/Type; an app that provides the role mail; the action fly of store; "
        "the app nobody. Install the app that has it first"
    )


def test_a_role_is_held_by_one_app():
    check_roles(STORE, {"store": STORE, "images": IMPORTER})
    with pytest.raises(Conflict, match="held by store"):
        check_roles(Manifest("other", "1.0.0", provides=["object-storage"]), {"store": STORE})


def test_who_needs_an_app_by_name_or_by_role_is_named():
    optional = Manifest("maybe", "1.0.0", uses=[Use(read="images/Image", optional=True), Use(network="host")])
    installed = {"store": STORE, "images": IMPORTER, "maybe": optional}
    assert dependents("store", installed) == ["images"]
    assert dependents("images", installed) == []


def test_the_review_says_what_follows_without_being_asked_for():
    init = Init(
        "role:object-storage/create-bucket-with-webhook", {"bucket": "a", "webhook": "action:images/new-object"}
    )
    manifest = Manifest("images", "1.0.0", run=Run(["x"], web=True), provides=["pictures"], init=[init])
    shown = review(manifest, bundled=False)
    assert shown.unconfined and list(shown.notes) == [
        "provide the role pictures to other apps",
        "serve web pages to you, at an address of its own",
        "let the app that provides object-storage call its action images/new-object whenever it likes, without being named there",
    ]
