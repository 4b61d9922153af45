"""Which schemas may replace one that entities are already stored by."""

from __future__ import annotations

import re

import pytest

from core.apps.review.additive import beyond, breaking_changes, remade
from core.graph.schema import parse_schema
from projections.graph.catalog import Catalog

OTHER = parse_schema("library", "type Book {\n  title: String\n}\n", others=Catalog())
BEFORE = """
enum Kind { PLAIN RICH }
type Note {
  key: String! @id
  text: String
  kind: Kind
  count: Int!
  tags: [String]
  folder: Folder
  other: Folder
}
type Folder {
  name: String!
  notes: [Note!] @hasInverse(field: folder)
}
extend type Book @from(app: "library") {
  read: Boolean
}
"""


def breaks(after: str) -> list[str]:
    return breaking_changes(catalog(BEFORE), catalog(after))


def catalog(text: str) -> Catalog:
    return parse_schema("notes", text, others=OTHER)


def test_the_same_schema_breaks_nothing() -> None:
    assert breaks(BEFORE) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PLAIN RICH", "PLAIN RICH POOR"),
        ("  tags: [String]\n", "  tags: [String]\n  more: String\n"),
        ("  tags: [String]\n", "  tags: [String]\n  more: [Folder!]\n"),
        ("  tags: [String]\n", "  tags: [String]\n  more: Folder\n"),
        ("  read: Boolean\n", "  read: Boolean\n  stars: Int\n"),
        ("enum Kind", "type More { name: String! }\nenum Kind"),
    ],
)
def test_added_optional_fields_are_compatible(old: str, new: str) -> None:
    assert breaks(BEFORE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("PLAIN RICH", "PLAIN", "RICH"),
        ("text: String\n", "", "Note.text is gone"),
        ("text: String\n", "title: String\n", "Note.text is gone"),
        ("text: String\n", "text: Int\n", "was String and is Int"),
        ("text: String\n", "text: [String]\n", r"was String and is \[String\]"),
        ("tags: [String]\n", "tags: String\n", r"was \[String\] and is String"),
        ("text: String\n", "text: String!\n", "Note.text is required now"),
        ("count: Int!\n", "count: Int\n", "Note.count may be empty now"),
        ("text: String\n", "text: String!\n more: String\n", "Note.text is required now"),
        ("text: String\n", "text: String\n  more: String!\n", "Note.more is required and has no default"),
        ("text: String\n", "text: String\n  more: Folder!\n", "Note.more is required"),
        ("key: String! @id\n", "key: String!\n", "Note.key is no longer an @id"),
        ("name: String!\n", "name: String! @id\n", "Folder.name became an @id"),
        ("name: String!\n", "name: String!\n  code: String! @id\n", "Folder.code is an @id"),
        ("other: Folder\n", "other: Note\n", "was notes/Folder and is notes/Note"),
        ("@hasInverse(field: folder)", "@hasInverse(field: folder, onDelete: CASCADE)", "Folder.notes deletes"),
        ("@hasInverse(field: folder)", "", "another @hasInverse"),
        ("  read: Boolean\n", "  read: String\n", "was Boolean and is String"),
        ("  read: Boolean\n", "  seen: Boolean\n", "Book.read is gone"),
        ('extend type Book @from(app: "library") {\n  read: Boolean\n}\n', "", "the fields on Book are gone"),
    ],
)
def test_changes_that_break_data_or_queries_are_named(old: str, new: str, word: str) -> None:
    found = breaks(BEFORE.replace(old, new, 1))
    assert any(re.search(word, one) for one in found), found


NEWER = BEFORE.replace("text: String\n", "text: String\n  stars: Int\n").replace("PLAIN RICH", "PLAIN RICH POOR")
NEWER += "type Extra {\n  name: String!\n}\n"


@pytest.mark.parametrize(
    ("after", "word"),
    [
        (BEFORE, ""),
        (NEWER, ""),
        (NEWER.replace("stars: Int", "stars: Int\n  more: String"), ""),
        (NEWER.replace("stars: Int", "stars: String"), "Note.stars was Int and is String"),
        (NEWER.replace("stars: Int", "stars: [Int]"), r"Note.stars was Int and is \[Int\]"),
        (BEFORE + "type Extra {\n  name: Int!\n}\n", "Extra.name was String and is Int"),
        (BEFORE + "type Extra {\n  name: String!\n  code: String!\n}\n", "Extra.code is required"),
        (NEWER.replace(" POOR", ""), ""),
    ],
)
def test_hidden_fields_return_unchanged_or_not_at_all(after: str, word: str) -> None:
    """What was stored meanwhile still exists."""
    hidden = beyond(catalog(NEWER), Catalog())
    found = remade(hidden, catalog(BEFORE), catalog(after))
    if word:
        assert any(re.search(word, one) for one in found), found
    else:
        assert found == []


def test_hidden_fields_stay_known_after_a_second_rollback() -> None:
    hidden = beyond(catalog(BEFORE), beyond(catalog(NEWER), Catalog()))
    assert "stars" in hidden.types["notes/Note"].fields and "notes/Extra" in hidden.types
