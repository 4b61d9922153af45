"""A small schema with every kind of field and relation, and a log for it in memory.

shelf/Person   name · books (of Book.author, deleted with it) · friends (each way)
shelf/Book     all kinds of scalars · author · sequel ↔ prequel (one to one) · themes (many to many)
shelf/Theme    name · books
critic/Review  text · book; the app critic also adds stars and reviews to Book
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pcloud.event import Change, Event, Kind, StoredEvent, encode_change
from pcloud.subject import Ref
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = [
    "BOOK",
    "BUILTIN",
    "CRITIC",
    "EPOCH",
    "PERSON",
    "REVIEW",
    "SHELF",
    "THEME",
    "Log",
    "catalog",
    "create",
    "delete",
    "update",
]

EPOCH = "testepoch"
PERSON, BOOK, THEME, REVIEW = "shelf/Person", "shelf/Book", "shelf/Theme", "critic/Review"
_F = FieldDef


def _type(name: str, *fields: FieldDef) -> TypeDef:
    return TypeDef(name, {field.name: field for field in fields})


def catalog(*types: TypeDef, extensions: Sequence[TypeDef] = ()) -> Catalog:
    return Catalog({one.name: one for one in types}, {one.name: one for one in extensions})


BUILTIN = catalog(
    _type("core/App", _F("name", "String"), _F("version", "String"), _F("catalog", "String")),
)
SHELF = catalog(
    _type(
        PERSON,
        _F("name", "String", search=("term", "exact")),
        _F("books", many=True, target=BOOK, inverse="author", cascade=True),
        _F("friends", many=True, target=PERSON, inverse="friends", written=True),
    ),
    _type(
        BOOK,
        _F("isbn", "String", is_id=True, search=("hash",)),
        _F("title", "String", search=("term", "fulltext", "exact")),
        _F("blurb", "String"),
        _F("pages", "Int", search=("int", "facet")),
        _F("size", "Int64"),
        _F("price", "Float", search=("float",)),
        _F("sold", "Boolean", search=("bool",)),
        _F("printed", "DateTime", search=("year", "month", "day")),
        _F("genre", "Enum", enum="Genre", values=("NOVEL", "POEM"), search=("hash", "facet")),
        _F("tags", "String", many=True, search=("exact", "facet")),
        _F("scores", "Float", many=True),
        _F("author", target=PERSON, inverse="books", written=True),
        _F("sequel", target=BOOK, inverse="prequel", written=True),
        _F("prequel", target=BOOK, inverse="sequel"),
        _F("themes", many=True, target=THEME, inverse="books", written=True),
    ),
    _type(
        THEME,
        _F("name", "String", search=("term", "facet")),
        _F("books", many=True, target=BOOK, inverse="themes"),
    ),
)
CRITIC = catalog(
    _type(
        REVIEW,
        _F("text", "String", search=("fulltext",)),
        _F("book", target=BOOK, inverse="critic/reviews", written=True),
    ),
    extensions=[
        _type(
            BOOK,
            _F("critic/stars", "Int", search=("int", "facet")),
            _F("critic/reviews", many=True, target=REVIEW, inverse="book", cascade=True),
        )
    ],
)

Part = tuple[str, Kind, Change]


def create(
    entity: str, link: Mapping[str, list[str]] | None = None, fields: Mapping[str, Any] | None = None, **more: Any
) -> Part:
    """Fields whose value is None are left out."""
    values = {name: value for name, value in {**(fields or {}), **more}.items() if value is not None}
    return (entity, Kind.CREATED, Change(set=values, link=dict(link or {})))


def update(
    entity: str,
    link: Mapping[str, list[str]] | None = None,
    unlink: Mapping[str, list[str]] | None = None,
    unset: Sequence[str] = (),
    fields: Mapping[str, Any] | None = None,
    **more: Any,
) -> Part:
    change = Change(set={**(fields or {}), **more}, link=dict(link or {}), unlink=dict(unlink or {}), unset=list(unset))
    return (entity, Kind.UPDATED, change)


def delete(entity: str) -> Part:
    return (entity, Kind.DELETED, Change())


class Log:
    """A log in memory; `events` holds all of them, and `write` returns a transaction."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.now = 1_700_000_000.0
        self.transactions = 0

    def write(self, *parts: Part, request: str = "", result: Mapping[str, Any] | None = None) -> list[StoredEvent]:
        self.transactions += 1
        tx = hashlib.sha256(str(self.transactions).encode()).hexdigest()[:32]
        written: list[StoredEvent] = []
        for ordinal, (entity, kind, change) in enumerate(parts, 1):
            self.now += 1
            sequence = len(self.events) + 1
            event = Event(Ref.parse(entity), kind, change)
            body = f"{sequence} {event.ref.subject} {kind}".encode() + encode_change(change)
            stored = StoredEvent(
                sequence, self.now, event.ref, kind, change, tx, ordinal, len(parts), "owner",
                request=request if ordinal == 1 else "", result=(result or {}) if ordinal == 1 else {},
                digest=int.from_bytes(hashlib.sha256(body).digest()),
            )  # fmt: skip
            written.append(stored)
            self.events.append(stored)
        return written

    def install(self, app: str, catalog: Catalog) -> list[StoredEvent]:
        return self.write(
            (f"core/App/{app}", Kind.UPDATED if self._has(app) else Kind.CREATED, _declaring(app, catalog))
        )

    def remove(self, app: str) -> list[StoredEvent]:
        return self.write(delete(f"core/App/{app}"))

    def _has(self, app: str) -> bool:
        kinds = [event.kind for event in self.events if event.ref == Ref("core", "App", app)]
        return bool(kinds) and kinds[-1] is not Kind.DELETED


def _declaring(app: str, catalog: Catalog) -> Change:
    return Change(set={"name": app, "catalog": catalog.to_json()})
