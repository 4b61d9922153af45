"""Strategies: logs of random transactions on the shelf schema, and random questions to it."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from pcloud.event import Change, Kind
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import Child, Compare, Every, Filter, Has, HasRelated, IdIn, Invert, Order, Select, Some
from tests.contracts.projections.shelf import BOOK, BUILTIN, CRITIC, PERSON, REVIEW, SHELF, THEME, Log

__all__ = ["ALL", "SEARCHED", "STARS_AS_TEXT", "cuts", "filters", "libraries", "logs", "selects"]

ALL = Catalog({**BUILTIN.types, **SHELF.types, **CRITIC.types})
STARS_AS_TEXT = Catalog(
    CRITIC.types,
    {
        BOOK: TypeDef(
            BOOK,
            {**CRITIC.extensions[BOOK].fields, "critic/stars": FieldDef("critic/stars", "String", search=("term",))},
        )
    },
)
NOTE = "critic/Note"
# Each adds what an upgrade may add: a type, optional fields, fields with a default, on an app's own types and on another app's.
_SHELF_2 = Catalog(
    {
        **SHELF.types,
        BOOK: TypeDef(
            BOOK,
            {
                **SHELF.types[BOOK].fields,
                "subtitle": FieldDef("subtitle", "String", search=("term",)),
                "shape": FieldDef(
                    "shape",
                    "Enum",
                    required=True,
                    default="THIN",
                    values=("THIN", "THICK"),
                    enum="Shape",
                    search=("facet",),
                ),
                "aliases": FieldDef(
                    "aliases", "String", many=True, required=True, default=["none"], search=("exact", "facet")
                ),
                "motto": FieldDef("motto", "String", required=True, default="old sea", search=("term",)),
            },
        ),
    }
)
_CRITIC_2 = Catalog(
    {
        **CRITIC.types,
        NOTE: TypeDef(
            NOTE,
            {
                "text": FieldDef("text", "String", search=("fulltext",)),
                "book": FieldDef("book", target=BOOK, inverse="critic/notes", written=True),
            },
        ),
    },
    {
        BOOK: TypeDef(
            BOOK,
            {
                **CRITIC.extensions[BOOK].fields,
                "critic/rank": FieldDef("critic/rank", "Int", required=True, default=1, search=("int", "facet")),
                "critic/notes": FieldDef("critic/notes", target=NOTE, many=True, inverse="book", cascade=True),
            },
        )
    },
)
SEARCHED = (
    "title",
    "subtitle",
    "shape",
    "aliases",
    "motto",
    "tags",
    "critic/stars",
    "critic/rank",
    "critic/notes.text",
)
_IDS = ("a", "b", "c")
_WORDS = ("sea", "Sea old", "ärger", "old", "")
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "String": st.sampled_from(_WORDS),
    "Int": st.integers(-2, 2),
    "Int64": st.sampled_from([0, 1, 2**62]),
    "Float": st.sampled_from([0.0, 0.1, -2.5]),
    "Boolean": st.booleans(),
    "DateTime": st.sampled_from(["2023-12-31T23:00:00.000Z", "2024-05-01T10:00:00.000Z", "2024-05-02T10:00:00.000Z"]),
    "Enum": st.sampled_from(["NOVEL", "POEM", "THIN"]),
}
_TYPES = {**_SHELF_2.types, **_CRITIC_2.types}
_EXTENDED = {
    name: {**type_.fields, **(_CRITIC_2.extensions[name].fields if name == BOOK else {})}
    for name, type_ in _TYPES.items()
}


def _value(field: FieldDef) -> st.SearchStrategy[Any]:
    value = _VALUES[str(field.kind)]
    return st.lists(value, max_size=2) if field.many else value


def _picked(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


@st.composite
def _part(draw: st.DrawFn) -> tuple[str, Kind, Change]:
    type_ = draw(st.sampled_from([BOOK, BOOK, BOOK, PERSON, THEME, REVIEW, NOTE]))
    entity = f"{type_}/{draw(st.sampled_from(_IDS))}"
    kind = draw(st.sampled_from([Kind.CREATED, Kind.CREATED, Kind.UPDATED, Kind.UPDATED, Kind.DELETED]))
    if kind is Kind.DELETED:
        return entity, kind, Change()
    fields = _EXTENDED[type_].values()
    ids = st.lists(st.sampled_from(_IDS), min_size=1, max_size=2, unique=True)
    written = {field.name: ids for field in fields if field.written}
    return entity, kind, Change(
        set=draw(_picked({field.name: _value(field) for field in fields if not field.is_relation})),
        unset=draw(st.lists(st.sampled_from([field.name for field in fields]), max_size=1)),
        link=draw(_picked(written)),
        unlink=draw(_picked(written)) if kind is Kind.UPDATED else {},
    )  # fmt: skip


_transaction = st.lists(_part(), min_size=1, max_size=4, unique_by=lambda part: part[0])
_app = st.sampled_from(["install", "upgrade", "upgrade", "reshape", "remove", "shelf 1", "shelf 2"])


@st.composite
def logs(draw: st.DrawFn, most: int = 20) -> Log:
    """Transactions whose parts need not fit together: a store must fold any log."""
    log = Log()
    log.install("shelf", SHELF)
    if draw(st.booleans()):
        log.install("critic", CRITIC)
    for step in draw(st.lists(st.one_of(_transaction, _transaction, _transaction, _app), max_size=most)):
        match step:
            case "install":
                log.install("critic", CRITIC)
            case "upgrade":
                log.install("critic", _CRITIC_2)
            case "shelf 1":
                log.install("shelf", SHELF)
            case "shelf 2":
                log.install("shelf", _SHELF_2)
            case "reshape":
                log.install("critic", STARS_AS_TEXT)
            case str():
                log.remove("critic")
            case parts:
                log.write(*parts)
    return log


@st.composite
def libraries(draw: st.DrawFn) -> Log:
    """Logs with much to query: full shelves, well linked, then changed a little."""
    log = Log()
    log.install("shelf", SHELF)
    parts: list[tuple[str, Kind, Change]] = []
    for type_, count in ((PERSON, 2), (THEME, 2), (BOOK, 7)):
        for id in "abcdefg"[:count]:
            fields = _EXTENDED[type_].values()
            values = {
                field.name: st.none() | _value(field)
                for field in fields
                if not field.is_relation and "/" not in field.name
            }
            targets = {
                field.name: st.lists(
                    st.sampled_from("ab" if field.target != BOOK else "abcdefg"), max_size=2, unique=True
                )
                for field in fields
                if field.written
            }
            change = Change(set=draw(st.fixed_dictionaries(values)), link=draw(st.fixed_dictionaries(targets)))
            parts.append((f"{type_}/{id}", Kind.CREATED, change))
    log.write(*parts)
    for step in draw(st.lists(_transaction, max_size=4)):
        log.write(*step)
    return log


def cuts(log: Log) -> st.SearchStrategy[list[int]]:
    """Cuts of the log into batches: positions at which transactions end."""
    ends = [index + 1 for index, event in enumerate(log.events) if event.ends_transaction]
    return st.lists(st.sampled_from(ends), unique=True).map(lambda chosen: sorted({*chosen, ends[-1]}))


def _compare(field: FieldDef) -> st.SearchStrategy[Filter]:
    value = _VALUES[str(field.kind)]
    one = st.builds(Compare, st.just(field.name), st.sampled_from(["eq", "ge", "gt", "le", "lt"]), value)
    some = [
        one,
        st.builds(Compare, st.just(field.name), st.just("in"), st.lists(value, max_size=3)),
        st.builds(Compare, st.just(field.name), st.just("between"), st.tuples(value, value)),
        st.just(Compare(field.name, "eq", None)),
        st.just(Has(field.name)),
    ]
    if field.kind == "String":
        words = st.sampled_from(["anyofterms", "allofterms"])
        some.append(st.builds(Compare, st.just(field.name), words, st.sampled_from(_WORDS)))
        some.append(
            st.builds(Compare, st.just(field.name), st.just("regexp"), st.sampled_from(["^s", "(?i)SEA", "d$", ""]))
        )
    return st.one_of(some)


@cache
def filters(type: str, depth: int = 2) -> st.SearchStrategy[Filter]:
    fields = SHELF.types[type].fields.values()
    leaves: list[st.SearchStrategy[Filter]] = [_compare(field) for field in fields if not field.is_relation]
    leaves.append(st.lists(st.sampled_from(_IDS), max_size=2).map(lambda ids: IdIn(tuple(ids))))
    relations = [field for field in fields if field.is_relation]
    leaves += [st.just(Has(field.name)) for field in relations]
    if depth:
        leaves += [
            filters(field.target, depth - 1).map(lambda inner, n=field.name: HasRelated(n, inner))
            for field in relations
        ]
        inner = filters(type, depth - 1)
        both = st.lists(inner, max_size=3).map(tuple)
        leaves += [both.map(Every), both.map(Some), inner.map(Invert)]
    return st.one_of(leaves)


@st.composite
def selects(draw: st.DrawFn, type: str = BOOK, depth: int = 2) -> Select:
    fields = SHELF.types[type].fields.values()
    scalars = [field.name for field in fields if not field.is_relation]
    ordered = [*(field.name for field in fields if not field.is_relation and not field.many), "id"]
    order = draw(
        st.lists(st.builds(Order, st.sampled_from(ordered), st.booleans()), max_size=3, unique_by=lambda one: one.field)
    )
    relations = [field for field in fields if field.is_relation] if depth else []
    followed = (
        draw(st.lists(st.sampled_from(relations), max_size=2, unique_by=lambda one: one.name)) if relations else []
    )
    return Select(
        type,
        scalars=("id", *draw(st.lists(st.sampled_from(scalars), max_size=3, unique=True))),
        children=tuple(Child(f"to {one.name}", one.name, draw(selects(one.target, depth - 1))) for one in followed),
        filter=draw(st.none() | st.none() | filters(type, depth=1)),
        order=tuple(order),
        first=draw(st.sampled_from([None, None, 1, 2, 3, 0])),
        offset=draw(st.sampled_from([0, 0, 0, 1, 2])),
        cursor=draw(st.booleans()),
        version=draw(st.booleans()),
    )
