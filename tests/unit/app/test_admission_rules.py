"""Whether an app may be installed beside the installed ones."""

from __future__ import annotations

import pytest
from msgspec import structs

from core.access.grant import describe
from core.apps.archive.archive import read_archive
from core.apps.review.admission_rules import (
    MissingNeed,
    check_additive,
    check_dependents,
    check_needs,
    check_roles,
    dependents,
    missing_needs,
    own_catalog,
)
from core.apps.review.review import notes_of
from core.apps.review.words import words_of
from core.graph.schema import builtin_catalog, parse_schema
from pcloud.errors import Conflict, Rejected
from pcloud.manifest import Action, Init, Manifest, Run, Trigger, TriggerOn, Use
from projections.directory import Grant
from projections.graph.catalog import merge

from .conftest import make_tar

IMAGES = parse_schema("images", "type Image { place: String! }", others=builtin_catalog())
INSTALLED = merge([builtin_catalog(), IMAGES])
STORE = Manifest("store", "1.0.0", provides=["object-storage"], actions=[Action("get-object")])
IMPORTER = Manifest("images", "1.0.0", uses=[Use(call="role:object-storage/get-object")])


def catalog_of(schema: str, uses: str):
    manifest = f"name: faces\nversion: 1.0.0\nschema: schema.graphql\nuses: [{uses}]\n".encode()
    return own_catalog(read_archive(make_tar([("app.yaml", manifest), ("schema.graphql", schema.encode())])), INSTALLED)


def test_schema_extends_only_requested_types():
    schema = 'extend type Image @from(app: "images") { faceCount: Int }'
    assert set(catalog_of(schema, "extend: images/Image").extensions) == {"images/Image"}
    with pytest.raises(Rejected, match=r"extends images/Image: add `- extend: images/Image`"):
        catalog_of(schema, "read: images/Image")


def test_schema_points_only_to_requested_types():
    schema = 'extend type Image @from(app: "images")\ntype Face { image: Image }'
    catalog = catalog_of(schema, "read: images/Image")
    assert catalog.types["faces/Face"].fields["image"].target == "images/Image"
    with pytest.raises(Rejected, match=r"Face\.image points to images/Image: add `- read: images/Image`"):
        catalog_of(schema, "call: a/b")


def test_all_missing_needs_are_named_together():
    manifest = Manifest(
        "x", "1.0.0",
        uses=[
            Use(read="gone/Type"), Use(call="role:mail/send"), Use(call="store/fly"), Use(call="absent/home"),
            Use(call="role:object-storage/get-object"), Use(read="other/Optional", optional=True), Use(read="images/Image"),
        ],
    )  # fmt: skip
    post = Manifest("post", "1.0.0", provides=["mail"], actions=[Action("send")])
    with pytest.raises(Rejected) as error:
        check_needs(missing_needs(manifest, {"store": STORE}, INSTALLED, {"post": post, "store": STORE}), manifest)
    assert str(error.value) == (
        "x needs what is not installed: the type gone/Type; an app that provides the role mail (the app post, which comes "
        "with PCloud, has it); the action fly of store; the app absent. Install the app that has it first"
    )


def test_an_upgrade_that_takes_an_action_from_another_app_is_refused():
    after = Manifest("store", "2.0.0", provides=["object-storage"])
    with pytest.raises(Conflict, match="lacks what others need: images needs the action get-object of store"):
        check_dependents(after, STORE, {"images": IMPORTER})
    check_dependents(STORE, STORE, {"images": IMPORTER})


BEFORE = """
type Note @search { text: String! kind: Kind at: DateTime about: Topic }
type Topic { name: String! @id notes: [Note] @hasInverse(field: about) }
enum Kind { A B }
"""


def schema(text: str):
    return parse_schema("notes", text.replace(" @search {", " {"), others=builtin_catalog())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("at: DateTime", "", "the field Note.at is gone"),
        ("at: DateTime", "at: String", "the field Note.at was DateTime and is String"),
        ("at: DateTime", "at: [DateTime!]", r"the field Note.at was DateTime and is \[DateTime\]"),
        ("at: DateTime", "at: DateTime more: Int!", "the new field Note.more is required and has no default"),
        ("at: DateTime", "at: DateTime!", "the field Note.at is required now"),
        ("text: String!", "text: String", "the field Note.text may be empty now"),
        ("{ A B }", "{ A C }", "the field Note.kind lacks the value B"),
        ("name: String! @id", "name: String!", "the field Topic.name is no longer an @id"),
        (
            "@hasInverse(field: about)",
            "@hasInverse(field: about, onDelete: CASCADE)",
            "the relation Topic.notes deletes",
        ),
    ],
)
def test_upgrade_with_incompatible_changes_is_refused_with_reasons(old, new, words):
    with pytest.raises(Rejected, match=words):
        check_additive("notes", schema(BEFORE), schema(BEFORE.replace(old, new)))


def test_all_incompatible_changes_are_named_together():
    after = schema("type Other { a: Int }")
    with pytest.raises(Rejected, match=r"the type Note is gone; the type Topic is gone\. An upgrade may add"):
        check_additive("notes", schema(BEFORE), after)


def test_new_types_and_optional_or_default_fields_are_accepted():
    more = BEFORE.replace("at: DateTime", "at: DateTime @search more: Int size: Int! @default(value: 3)")
    check_additive("notes", schema(BEFORE), schema(more.replace("{ A B }", "{ A B C }") + "type Further { a: Int! }"))


def test_a_role_is_held_by_one_app():
    check_roles(STORE, {"store": STORE, "images": IMPORTER})
    with pytest.raises(Conflict, match="held by store"):
        check_roles(Manifest("other", "1.0.0", provides=["object-storage"]), {"store": STORE})


def test_apps_that_need_another_by_name_or_role_are_named():
    optional = Manifest("maybe", "1.0.0", uses=[Use(read="images/Image", optional=True), Use(network="internet")])
    installed = {"store": STORE, "images": IMPORTER, "maybe": optional}
    assert dependents("store", installed) == ["images"]
    assert dependents("images", installed) == []


def test_review_lists_implied_rights():
    init = Init(
        "role:object-storage/create-bucket-with-webhook", {"bucket": "a", "webhook": {"action": "images/new-object"}}
    )
    trigger = Trigger(
        "t", TriggerOn("images/Image"), "faces/watch", {"text": "{{ event.id }}", "back": {"action": "store/get"}}
    )
    look = Trigger("look", TriggerOn("library/Book", ["created", "updated"]), "look-at-book")
    run = Run(["x"], web=True, ports=["s3"])
    manifest = Manifest("images", "1.0.0", run=run, provides=["pictures"], init=[init], triggers=[look, trigger])
    assert notes_of(manifest) == [
        "provide “pictures” to other apps",
        "serve web pages to you, at an address of its own; a page can send away what it can see",
        "open the port s3 to apps that may call it",
        "“look at book” by itself when one of the books that library keeps is created or updated, also for those that exist already",
        "“watch” by itself when one of the images that it keeps is created, also for those that exist already",
        "stop doing that if you withdraw what it may see, and continue where it stopped once you grant it again",
        "let whichever app provides “object storage” ask it to “new object” at any time",
        "let faces ask store, in its place, to “get” at any time",
    ]


def test_a_grant_says_that_actions_are_handed_over_with_the_call():
    store = Manifest(
        "store", "1.0.0", actions=[Action("watch", {"webhook": "Action!"}), Action("get", {"key": "String"})]
    )
    words = words_of({"store": store}, INSTALLED)
    said = [describe(Grant("images", "call", f"store/{name}"), words) for name in ("watch", "get")]
    assert said == [
        "ask store to “watch”, and hand over actions that it can ask for from then on",
        "ask store to “get”",
    ]


def test_action_argument_needs_a_declaration_of_the_receiver():
    store = Manifest("store", "1.0.0", provides=["object-storage"], actions=[Action("watch", {"webhook": "String!"})])
    args = {"webhook": {"action": "images/new-object"}}
    manifest = Manifest("images", "1.0.0", init=[Init("role:object-storage/watch", args)])
    (missing,) = missing_needs(manifest, {"store": store}, INSTALLED, {"store": store})
    assert missing == MissingNeed("a version of store whose watch takes an action as `webhook`", "store")
    today = structs.replace(store, actions=[Action("watch", {"webhook": "Action!"})])
    assert missing_needs(manifest, {"store": today}, INSTALLED, {}) == []
