"""An import's transactions are bounded, always the same, and name only what is there by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.export.check import check_export
from core.export.nodes import Batch, batches
from tests.unit.export.folder import write_folder


def cut(root: Path) -> list[Batch]:
    return list(batches(root, check_export(root, lambda *_: None)))


def test_named_types_come_first_and_what_names_itself_comes_again(tmp_path: Path) -> None:
    found = cut(write_folder(tmp_path))
    mia: dict[str, Any] = {"id": "1", "title": "Mia"}
    assert found == [
        ("Albums_Picture", [mia, {"id": "2", "title": "Zoë"}]),
        ("Albums_Album", [{"name": "Cats", "tags": ["zoo"], "pictures": [{"id": "1"}, {"id": "2"}]}, {"name": "Dogs"}]),
        ("Albums_Picture", [{**mia, "next": {"id": "2"}}]),
    ]


def test_transactions_are_bounded_in_nodes_bytes_and_links(tmp_path: Path) -> None:
    pictures = [{"id": f"{n:05}", "fields": {"title": "x" * (n % 3) * 4_000}, "relations": {}} for n in range(1_300)]
    ids = [one["id"] for one in pictures]
    albums = [{"id": "All", "fields": {"name": "All"}, "relations": {"pictures": ids}}]
    found = cut(write_folder(tmp_path, albums=albums, pictures=pictures))
    sizes = [len(inputs) for name, inputs in found if name == "Albums_Picture"]
    assert sum(sizes) == 1_300 and max(sizes) <= 200
    parts = [inputs for name, inputs in found if name == "Albums_Album"]
    assert [len(one["pictures"]) for part in parts for one in part] == [500, 500, 300]
    assert [link["id"] for part in parts for one in part for link in one["pictures"]] == ids
    assert all(len(part) == 1 for part in parts)
