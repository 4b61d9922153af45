"""What an app asks for, what the owner reads, and what is granted afterwards."""

from __future__ import annotations

import pytest

from core.access.grant import Words, decide, describe, grant_values, requested_grants
from pcloud.errors import Forbidden
from pcloud.manifest import Manifest, Use
from projections.directory import Grant
from projections.directory.grant import read_grant

MANIFEST = Manifest(
    name="face-detector",
    version="1.0.0",
    uses=[
        Use(read="image-importer/Image", fields=["tagger/tags"], as_="Photo", reason="to look at"),
        Use(extend="image-importer/Image"),
        Use(call="role:object-storage/get-object"),
        Use(call="mailer/send", optional=True),
    ],
)


def test_each_use_becomes_a_grant_that_waits():
    grants = requested_grants(MANIFEST)
    assert [(grant.verb, grant.target, grant.state) for grant in grants] == [
        ("read", "image-importer/Image", "pending"), ("extend", "image-importer/Image", "pending"),
        ("call", "role:object-storage/get-object", "pending"), ("call", "mailer/send", "pending"),
    ]  # fmt: skip
    assert len({grant.id for grant in grants}) == 4
    assert [grant.id for grant in grants] == [grant.id for grant in requested_grants(MANIFEST)]


def test_unanswered_grant_is_rejected_and_must_be_optional():
    grants = requested_grants(MANIFEST)
    needed = {grant.id: True for grant in grants if not grant.optional}
    assert [grant.state for grant in decide(grants, needed)] == ["approved", "approved", "approved", "rejected"]
    with pytest.raises(Forbidden, match="requires grants that were rejected: extend image-importer/Image"):
        decide(grants, {id_: True for id_ in needed if id_ != grants[1].id})


def test_the_owner_reads_plain_words():
    assert [describe(grant) for grant in requested_grants(MANIFEST)] == [
        "see all images that image-importer keeps, with what tagger added to them (tags)",
        "see all images that image-importer keeps, and add information of its own to each",
        "ask whichever app provides “object storage” to “get object”",
        "ask mailer to “send”",
    ]


def test_grant_texts_use_app_titles_and_descriptions():
    words = Words(
        titles={"image-importer": "Image importer", "tagger": "Image importer", "s3": "Store"},
        types={"image-importer/Image": "A picture\nof yours."},
        actions={"s3/get-object": "x" * 200, "mailer/send": ""},
        roles={"object-storage": "s3"},
    )
    read, _, get, send = requested_grants(MANIFEST)
    # A title that is not the app's name made nicer doesn't hide the name.
    assert describe(read, words) == (
        "see all images that Image importer keeps, with what Image importer (tagger) added to them (tags)"
        " (“A picture of yours.”)"
    )
    assert describe(get, words) == f"ask Store (s3), or the app that replaces it, to “get object” (“{'x' * 119}…”)"
    assert describe(send, words) == "ask mailer to “send”"


@pytest.mark.parametrize(
    ("type_", "noun"),
    [
        ("ImageSegment", "image segments"), ("Diary", "diaries"), ("Day", "days"), ("Box", "boxes"),
        ("RSSFeed", "RSS feeds"), ("PDF", "PDFs"),
    ],
)  # fmt: skip
def test_a_type_is_called_by_a_noun(type_: str, noun: str):
    assert describe(Grant("a", "read", f"b/{type_}")) == f"see all {noun} that b keeps"


def test_a_grant_is_the_same_after_it_was_stored():
    for grant in requested_grants(MANIFEST):
        assert read_grant(grant.id, grant_values(grant)) == grant
