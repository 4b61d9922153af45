"""Checks an export before anything is imported: every byte, every line, every name.

What has to be looked up meanwhile is in a temporary database on the disk, so that memory does not grow with the cloud.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, cast

import msgspec

from core.export.graph import Progress, Record
from core.export.target import SUMS, digest_of
from pcloud.errors import Corrupt, PCloudError, Rejected
from pcloud.subject import check_id

__all__ = ["Header", "Type", "check_export", "read_lines"]

FORMAT = 1
LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of GraphQL: an import writes names into the text of its queries
LONGEST_LINE = 32 * 2**20
_TABLES = """
CREATE TABLE files (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE nodes (type TEXT, id TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID;
CREATE TABLE objects (bucket TEXT, key TEXT, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
"""


class Field(msgspec.Struct, frozen=True):
    """`kind`: of a scalar, or ''. `target`: a relation's type, or ''."""

    app: str
    many: bool
    kind: str
    target: str


class Type(msgspec.Struct, frozen=True):
    """`id`: the name of the `@id` field, or ''."""

    app: str
    id: str
    fields: dict[str, Field]


class Header(msgspec.Struct, frozen=True):
    """The part of `export.json` that an import needs. `digest`: of `SHA256SUMS`, and so of everything."""

    format: int
    apps: dict[str, str]
    types: dict[str, Type]
    digest: str = ""


def check_export(root: Path, progress: Progress) -> Header:
    """Raises `Corrupt`, with the file and the line, for whatever is not as an export is; `Rejected` if it is not a complete one."""
    sums = root / SUMS
    if not sums.is_file():
        raise Rejected(
            f"{root} is not a complete export: it has no {SUMS}; end it with `pcloud export`, or name another folder"
        )
    with closing(sqlite3.connect("")) as found:
        found.executescript(_TABLES)
        for count, (sha256, path) in enumerate(_sums(sums), 1):
            progress("checking", f"file {count:,}")
            _file(root, path, sha256)
            if not _is_new(found, "INSERT OR IGNORE INTO files VALUES (?, ?)", (path, sha256)):
                _refuse(sums, count, f"the file {path!r} is listed twice")
        header = _header(root, found)
        for name in header.types:
            for number, node in read_lines(root / f"graph/{name}.jsonl"):
                _node(root / f"graph/{name}.jsonl", number, name, header, node, found)
        for name in header.types:
            for number, node in read_lines(root / f"graph/{name}.jsonl"):
                _relations(root / f"graph/{name}.jsonl", number, header.types[name], node, found)
        for number, one in read_lines(root / "objects.jsonl"):
            _object(root / "objects.jsonl", number, one, found)
    return msgspec.structs.replace(header, digest=digest_of(sums))


def read_lines(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield each line's number and object. Raises `Corrupt`."""
    number = 0
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            number += 1
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                _refuse(path, number, "it is not a JSON object")
            yield number, cast("Record", value)


def _refuse(path: Path, number: int, why: str) -> NoReturn:
    raise Corrupt(f"{path}, line {number}: {why}; nothing was imported")


def _sums(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if (found := LINE.fullmatch(line)) is None:
                _refuse(path, number, "it is not a SHA-256 and a file's name")
            yield found[1], found[2]


def _file(root: Path, path: str, sha256: str) -> None:
    """The file is inside the folder, not behind a link, and has these bytes."""
    place = root / path
    parts = PurePosixPath(path).parts
    if path != str(PurePosixPath(*parts)) or path.startswith("/") or ".." in parts or "\\" in path:
        raise Corrupt(f"{root / SUMS} names {path!r}, which is not a file of an export; nothing was imported")
    if any(one.is_symlink() for one in (place, *list(place.parents)[: len(parts) - 1])):
        raise Corrupt(f"{place} is a link, which an export never has; nothing was imported")
    if not place.is_file():  # a pipe would wait for ever
        raise Corrupt(f"{place} is missing, or is not a file; nothing was imported")
    try:
        same = digest_of(place) == sha256
    except OSError as error:
        raise Corrupt(f"{place} can't be read: {error.strerror}; nothing was imported") from error
    if not same:
        raise Corrupt(f"{place} is damaged: it does not have the SHA-256 of {SUMS}; nothing was imported")


def _header(root: Path, found: sqlite3.Connection) -> Header:
    _listed(root, "export.json", found)
    try:
        header = msgspec.json.decode((root / "export.json").read_bytes(), type=Header)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{root / 'export.json'} can't be read: {error}; nothing was imported") from error
    if header.format != FORMAT:
        raise Rejected(f"{root} has the format {header.format}, and this PCloud reads {FORMAT}: use a newer PCloud")
    for name in _names(header.types):
        if not NAME.fullmatch(name):
            raise Corrupt(
                f"{root / 'export.json'}: {name[:80]!r} is not a name of a type or field; nothing was imported"
            )
    for name, type_ in header.types.items():
        if type_.id and type_.id not in type_.fields:
            raise Corrupt(f"{root / 'export.json'}: {name} has no field {type_.id!r}; nothing was imported")
    for path in ("objects.jsonl", *(f"graph/{name}.jsonl" for name in header.types)):
        _listed(root, path, found)
    return header


def _names(types: dict[str, Type]) -> Iterator[str]:
    for name, type_ in types.items():
        yield name
        for field, facts in type_.fields.items():
            yield from (field, facts.target) if facts.target else (field,)


def _listed(root: Path, path: str, found: sqlite3.Connection) -> None:
    if found.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone() is None:
        raise Corrupt(f"{root / SUMS} does not list {path}: the export is incomplete; nothing was imported")


def _node(path: Path, number: int, name: str, header: Header, node: Record, found: sqlite3.Connection) -> None:
    type_ = header.types[name]
    id, fields, relations = node.get("id"), node.get("fields"), node.get("relations")
    if not isinstance(id, str) or not isinstance(fields, dict) or not isinstance(relations, dict):
        _refuse(path, number, "it has no id, fields and relations")
    for part, is_relation in ((cast("Record", fields), False), (cast("Record", relations), True)):
        for field in part:
            if field not in type_.fields or bool(type_.fields[field].target) != is_relation:
                _refuse(path, number, f"{name} has no {'relation' if is_relation else 'field'} {field!r}")
    if type_.id:
        if str(cast("Record", fields).get(type_.id)) != id:
            _refuse(path, number, f"its id is not the value of its field {type_.id!r}")
    else:
        try:
            check_id(id)
        except PCloudError as error:
            _refuse(path, number, error.message)
    if not _is_new(found, "INSERT OR IGNORE INTO nodes VALUES (?, ?)", (name, id)):
        _refuse(path, number, f"the id {id!r} is there twice")


def _relations(path: Path, number: int, type_: Type, node: Record, found: sqlite3.Connection) -> None:
    for name, ids in cast("dict[str, Any]", node["relations"]).items():
        for id in cast("list[Any]", ids) if isinstance(ids, list) else [None]:
            wanted = (type_.fields[name].target, str(id))
            exists = found.execute("SELECT 1 FROM nodes WHERE type = ? AND id = ?", wanted).fetchone()
            if not isinstance(id, str) or exists is None:
                _refuse(path, number, f"{name!r} names {id!r}, which is not in the export")


def _object(path: Path, number: int, one: Record, found: sqlite3.Connection) -> None:
    texts = [one.get(name) for name in ("bucket", "key", "path", "sha256", "type")]
    if not all(isinstance(text, str) for text in texts):
        _refuse(path, number, "it has no bucket, key, path, sha256 and type")
    bucket, key, place, sha256, _ = cast("list[str]", texts)
    if (
        not key
        or len(key.encode(errors="replace")) > 1024
        or set(key) & set("\0\n\\")
        or set(key.split("/")) & {"", ".", ".."}
    ):
        _refuse(path, number, f"{key[:80]!r} can't be an object's key")
    if found.execute("SELECT sha256 FROM files WHERE path = ?", (place,)).fetchone() != (sha256,):
        _refuse(path, number, f"{SUMS} does not list its file {place[:80]!r} with these bytes")
    if not _is_new(found, "INSERT OR IGNORE INTO objects VALUES (?, ?)", (bucket, key)):
        _refuse(path, number, f"{bucket}/{key} is there twice")


def _is_new(found: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> bool:
    return found.execute(statement, values).rowcount == 1
