"""A small export, written as another program would: it has what the format asks for, and nothing of `core.export` made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

APPS = {"albums": "1.0.0"}


def field(kind: str = "", target: str = "", *, many: bool = False) -> dict[str, Any]:
    return {"app": "albums", "kind": kind, "target": target, "many": many}


TYPES: dict[str, Any] = {
    "Albums_Album": {
        "app": "albums", "id": "name",
        "fields": {"name": field("String"), "tags": field("String", many=True), "pictures": field(target="Albums_Picture", many=True)},
    },
    "Albums_Picture": {"app": "albums", "id": "", "fields": {"title": field("String"), "next": field(target="Albums_Picture")}},
}  # fmt: skip
ALBUMS = [
    {"id": "Cats", "fields": {"name": "Cats", "tags": ["zoo"]}, "relations": {"pictures": ["1", "2"]}},
    {"id": "Dogs", "fields": {"name": "Dogs"}, "relations": {}},
]
PICTURES = [
    {"id": "1", "fields": {"title": "Mia"}, "relations": {"next": ["2"]}},
    {"id": "2", "fields": {"title": "Zoë"}, "relations": {}},
]


def write_folder(root: Path, *, albums: list[Any] = ALBUMS, pictures: list[Any] = PICTURES, **header: Any) -> Path:
    body = {"format": 1, "apps": APPS, "types": TYPES, **header}
    files = {
        "export.json": json.dumps(body),
        "graph/Albums_Album.jsonl": "".join(json.dumps(one) + "\n" for one in albums),
        "graph/Albums_Picture.jsonl": "".join(json.dumps(one) + "\n" for one in pictures),
        "objects/files/a/b.txt": "b",
    }
    one = {
        "bucket": "files",
        "key": "a/b.txt",
        "path": "objects/files/a/b.txt",
        "sha256": digest("b"),
        "type": "text/plain",
    }
    files["objects.jsonl"] = json.dumps(one) + "\n"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    seal(root)
    return root


def seal(root: Path) -> None:
    """Write `SHA256SUMS` for what is there."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in paths]
    (root / "SHA256SUMS").write_text("".join(lines))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def replaced(root: Path, path: str, old: str, new: str, *, sealed: bool = True) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new, 1))
    if sealed:
        seal(root)
