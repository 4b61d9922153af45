"""A damaged or manipulated export is refused, with the file and what is wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.export.check import Header, check_export
from pcloud.errors import Corrupt, Rejected
from tests.unit.export.folder import field, replaced, seal, write_folder

GRAPH = "graph/Albums_Picture.jsonl"


def check(root: Path) -> Header:
    return check_export(root, lambda *_: None)


def flip(root: Path) -> None:
    replaced(root, "objects/files/a/b.txt", "b", "c", sealed=False)


def lose(root: Path) -> None:
    (root / "objects/files/a/b.txt").unlink()


def unlist(root: Path) -> None:
    (root / GRAPH).unlink()
    seal(root)


def outside(root: Path) -> None:
    (root.parent / "secret").write_text("x")
    with (root / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../secret\n")


def absolute(root: Path) -> None:
    with (root / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  /etc/passwd\n")


def link(root: Path) -> None:
    path = root / "objects/files/a/b.txt"
    path.rename(root.parent / "b.txt")
    path.symlink_to(root.parent / "b.txt")


def linked_folder(root: Path) -> None:
    (root / "objects").rename(root.parent / "objects")
    (root / "objects").symlink_to(root.parent / "objects")


def pipe(root: Path) -> None:
    (root / "objects/files/a/b.txt").unlink()
    os.mkfifo(root / "objects/files/a/b.txt")


def unknown_field(root: Path) -> None:
    replaced(root, GRAPH, '"title"', '"owner"')


def relation_as_field(root: Path) -> None:
    replaced(root, GRAPH, '{"title": "Mia"}', '{"next": "2"}')


def dangling(root: Path) -> None:
    replaced(root, GRAPH, '{"next": ["2"]}', '{"next": ["3"]}')


def no_list(root: Path) -> None:
    replaced(root, GRAPH, '{"next": ["2"]}', '{"next": "2"}')


def twice(root: Path) -> None:
    replaced(root, GRAPH, '"id": "2"', '"id": "1"')


def bad_id(root: Path) -> None:
    replaced(root, GRAPH, '"id": "1"', '"id": "a.b"')


def other_identity(root: Path) -> None:
    replaced(root, "graph/Albums_Album.jsonl", '"id": "Dogs"', '"id": "Cows"')


def cut(root: Path) -> None:
    replaced(root, GRAPH, '"relations": {}}\n', '"relat')


def other_bytes(root: Path) -> None:
    replaced(root, "objects.jsonl", '"objects/files/a/b.txt"', '"export.json"')


def foreign_file(root: Path) -> None:
    replaced(root, "objects.jsonl", '"objects/files/a/b.txt"', '"../secret"')


def climbing_key(root: Path) -> None:
    replaced(root, "objects.jsonl", '"a/b.txt"', '"a/../b.txt"')


def no_header(root: Path) -> None:
    replaced(root, "export.json", '"types"', '"kinds"')


PAYLOAD = "NoteInput!]!) { addNote(input: $input) { count } deletePhoto(filter: {}) { count } } #"


@pytest.mark.parametrize(
    ("types", "named"),
    [
        ({PAYLOAD: {"app": "albums", "id": "", "fields": {}}}, PAYLOAD),
        ({"Note": {"app": "albums", "id": "", "fields": {"a b": field("String")}}}, "a b"),
        ({"Note": {"app": "albums", "id": "", "fields": {"next": field(target=PAYLOAD)}}}, PAYLOAD),
        ({"Note": {"app": "albums", "id": "a)", "fields": {"a)": field("String")}}}, "a)"),
        ({"Note": {"app": "albums", "id": "name", "fields": {}}}, "name"),
    ],
)
def test_attack_name_that_is_more_than_a_name_reaches_no_query(
    tmp_path: Path, types: dict[str, Any], named: str
) -> None:
    root = write_folder(tmp_path / "export", types=types)
    for name in types:
        (root / f"graph/{name}.jsonl").write_text("")
    seal(root)
    with pytest.raises(Corrupt, match=re.escape(repr(named[:80]).rstrip("'"))):
        check(root)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, r"b\.txt is damaged"), (lose, r"b\.txt is missing"), (unlist, "does not list graph/Albums_Picture"),
        (outside, r"names '\.\./secret'"), (absolute, "names '/etc/passwd'"), (link, "is a link"), (linked_folder, "is a link"),
        (pipe, "is not a file"), (unknown_field, "line 1: Albums_Picture has no field 'owner'"), (relation_as_field, "has no field 'next'"),
        (dangling, "line 1: 'next' names '3'"), (no_list, "line 1: 'next' names"), (twice, "line 2: the id '1' is there twice"),
        (bad_id, "line 1"), (other_identity, "line 2: its id is not"), (cut, "line 2: it is not a JSON object"),
        (other_bytes, "line 1: SHA256SUMS does not list"), (foreign_file, "line 1: SHA256SUMS does not list"),
        (climbing_key, "can't be an object's key"), (no_header, "export.json can't be read"),
    ],
)  # fmt: skip
def test_attack_manipulated_export_is_refused(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    root = write_folder(tmp_path / "export")
    damage(root)
    with pytest.raises(Corrupt, match=said) as refused:
        check(root)
    assert "nothing was imported" in refused.value.message


def test_complete_export_is_accepted_as_it_is(tmp_path: Path) -> None:
    header = check(write_folder(tmp_path / "export"))
    assert header.apps == {"albums": "1.0.0"} and header.digest
    assert header.digest != check(write_folder(tmp_path / "other", albums=[])).digest


@pytest.mark.parametrize(
    ("change", "said"), [({"format": 2}, "use a newer PCloud"), (None, "is not a complete export")]
)
def test_newer_or_incomplete_export_says_what_to_do(tmp_path: Path, change: dict[str, int] | None, said: str) -> None:
    root = write_folder(tmp_path / "export", **(change or {}))
    if change is None:
        (root / "SHA256SUMS").unlink()
    with pytest.raises(Rejected, match=said):
        check(root)


def test_type_name_of_a_manipulated_header_reaches_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}")
    root = write_folder(tmp_path / "export", types={"../../x": {"app": "albums", "id": "", "fields": {}}})
    with pytest.raises(Corrupt, match="is not a name"):
        check(root)
