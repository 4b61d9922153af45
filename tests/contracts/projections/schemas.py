"""Strategies for the differential test: random schemas, logs that fill them, and queries on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from pcloud.event import Change, Kind
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import (
    Aggregate,
    Child,
    Compare,
    Every,
    Filter,
    Group,
    Has,
    HasRelated,
    IdIn,
    Invert,
    Order,
    Select,
    Some,
)
from tests.contracts.projections.shelf import Log

__all__ = ["IDS", "Asked", "aggregations", "groupings", "logs", "schemas", "selects"]

TYPES = ("one/Alpha", "one/Beta", "two/Gamma")
IDS = ("a", "b", "c", "d", "e")
KINDS = ("String", "Int", "Int64", "Float", "Boolean", "DateTime", "Enum")
SEARCHES = {"String": ("hash", "exact", "term", "fulltext"), "DateTime": ("year", "month"), "Enum": ("hash",)}
LONG = "long " * 60
WORDS = ("sea", "Sea old", "ärger", "old", "", "\uffff", "😀 sea", LONG, LONG + "old", "A`b\\u0060'\"")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "String": st.sampled_from(WORDS),
    "Int": st.integers(-2, 2),
    "Int64": st.sampled_from([0, 1, 2**53 + 1, -(2**62)]),
    "Float": st.sampled_from([0.0, 0.5, -2.5, 1e300]),
    "Boolean": st.booleans(),
    "DateTime": st.sampled_from(["2023-12-31T23:00:00.000Z", "2024-05-01T10:00:00.000Z", "2024-05-02T10:00:00.000Z"]),
    "Enum": st.sampled_from(["NOVEL", "POEM"]),
}


# --- schemas ---------------------------------------------------------------------------------------------------------------------


@st.composite
def schemas(draw: st.DrawFn) -> Catalog:
    """One to three types with scalars of all kinds, and relations of every shape between them, or to themselves."""
    names = TYPES[: draw(st.integers(1, len(TYPES)))]
    fields: dict[str, dict[str, FieldDef]] = {name: {} for name in names}
    for name in names:
        for number in range(draw(st.integers(1, 4))):
            field = draw(_scalar(f"f{number}"))
            fields[name][field.name] = field
    for number in range(draw(st.integers(0, 3))):
        here, there = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        one, other = f"r{number}", f"s{number}"
        match draw(st.sampled_from(["one-many", "many-many", "one-one", "alone", "alone many", "friends"])):
            case "one-many":
                fields[here][one] = FieldDef(one, target=there, inverse=other, written=True)
                fields[there][other] = FieldDef(other, many=True, target=here, inverse=one)
            case "many-many":
                fields[here][one] = FieldDef(one, many=True, target=there, inverse=other, written=True)
                fields[there][other] = FieldDef(other, many=True, target=here, inverse=one)
            case "one-one":
                fields[here][one] = FieldDef(one, target=there, inverse=other, written=True)
                fields[there][other] = FieldDef(other, target=here, inverse=one)
            case "friends":
                fields[here][one] = FieldDef(one, many=True, target=here, inverse=one, written=True)
            case shape:
                fields[here][one] = FieldDef(one, many=shape == "alone many", target=there, written=True)
    return Catalog({name: TypeDef(name, fields[name]) for name in names})


@st.composite
def _scalar(draw: st.DrawFn, name: str) -> FieldDef:
    kind = draw(st.sampled_from(KINDS))
    many = draw(st.sampled_from([False, False, True]))
    search = draw(st.lists(st.sampled_from(SEARCHES.get(kind, ("exact",))), unique=True, max_size=2))
    return FieldDef(name, kind, many=many, search=tuple(search))  # type: ignore[arg-type]


# --- logs ------------------------------------------------------------------------------------------------------------------------


@st.composite
def logs(draw: st.DrawFn, schema: Catalog, most: int = 8) -> Log:
    """Everything is created once, mostly linked; then come changes whose parts need not make sense together."""
    log = Log()
    log.install("one", schema)
    first = [
        (f"{name}/{id}", Kind.CREATED, draw(_change(type_)))
        for name, type_ in schema.types.items()
        for id in IDS[: draw(st.integers(2, len(IDS)))]
    ]
    log.write(*first)
    for parts in draw(
        st.lists(st.lists(_part(schema), min_size=1, max_size=3, unique_by=lambda part: part[0]), max_size=most)
    ):
        log.write(*parts)
    return log


@st.composite
def _part(draw: st.DrawFn, schema: Catalog) -> tuple[str, Kind, Change]:
    type_ = draw(st.sampled_from(list(schema.types.values())))
    entity = f"{type_.name}/{draw(st.sampled_from(IDS))}"
    kind = draw(st.sampled_from([Kind.CREATED, Kind.UPDATED, Kind.UPDATED, Kind.DELETED]))
    return entity, kind, Change() if kind is Kind.DELETED else draw(_change(type_, kind is Kind.UPDATED))


@st.composite
def _change(draw: st.DrawFn, type_: TypeDef, updates: bool = False) -> Change:
    ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=2, unique=True)
    written = {field.name: ids for field in type_.fields.values() if field.written}
    values = {field.name: _value(field) for field in type_.fields.values() if not field.is_relation}
    return Change(
        set=draw(st.fixed_dictionaries({}, optional=values)),
        unset=draw(st.lists(st.sampled_from(list(type_.fields)), max_size=1)) if updates else [],
        link=draw(st.fixed_dictionaries({}, optional=written)),
        unlink=draw(st.fixed_dictionaries({}, optional=written)) if updates else {},
    )


def _value(field: FieldDef) -> st.SearchStrategy[Any]:
    value = VALUES[str(field.kind)]
    return st.lists(value, max_size=2) if field.many else value


# --- queries ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Asked:
    """A schema for which many queries are drawn: its strategies are made once."""

    types: Mapping[str, TypeDef]


@cache
def filters(schema: Asked, type: str, depth: int = 2) -> st.SearchStrategy[Filter]:
    fields = schema.types[type].fields.values()
    leaves: list[st.SearchStrategy[Filter]] = [_compare(field) for field in fields if not field.is_relation]
    leaves += [st.just(Has(field.name)) for field in fields]
    leaves.append(st.lists(st.sampled_from(IDS), max_size=2).map(lambda ids: IdIn(tuple(ids))))
    if depth:
        for field in fields:
            if field.is_relation:
                inner = st.deferred(lambda target=field.target: filters(schema, target, depth - 1))
                leaves.append(inner.map(lambda one, name=field.name: HasRelated(name, one)))
        nested = st.deferred(lambda: filters(schema, type, depth - 1))
        several = st.lists(nested, max_size=3).map(tuple)
        leaves += [several.map(Every), several.map(Some), nested.map(Invert)]
    return st.one_of(leaves)


def _compare(field: FieldDef) -> st.SearchStrategy[Filter]:
    value, name = VALUES[str(field.kind)], st.just(field.name)
    some: list[st.SearchStrategy[Filter]] = [
        st.builds(Compare, name, st.sampled_from(["eq", "ge", "gt", "le", "lt"]), value),
        st.builds(Compare, name, st.just("in"), st.lists(value, max_size=3)),
        st.builds(Compare, name, st.just("between"), st.tuples(value, value)),
        st.just(Compare(field.name, "eq", None)),
    ]
    if field.kind == "String":
        some.append(st.builds(Compare, name, st.sampled_from(["anyofterms", "allofterms"]), st.sampled_from(WORDS)))
        some.append(st.builds(Compare, name, st.just("regexp"), st.sampled_from(["^s", "(?i)SEA", "d$", ""])))
    return st.one_of(some)


@st.composite
def selects(draw: st.DrawFn, schema: Asked, type: str, depth: int = 2) -> Select:
    fields = schema.types[type].fields.values()
    scalars = [field.name for field in fields if not field.is_relation]
    ordered = [*(field.name for field in fields if not field.is_relation and not field.many), "id"]
    relations = [field for field in fields if field.is_relation] if depth else []
    followed = draw(st.lists(st.sampled_from(relations), max_size=2)) if relations else []
    children = tuple(draw(_child(schema, field, number, depth)) for number, field in enumerate(followed))
    orders = st.builds(Order, st.sampled_from(ordered), st.booleans())
    return Select(
        type,
        scalars=("id", *draw(st.lists(st.sampled_from(scalars), max_size=3, unique=True))),
        children=children,
        filter=draw(st.none() | filters(schema, type)),
        order=tuple(draw(st.lists(orders, max_size=3, unique_by=lambda one: one.field))),
        first=draw(st.sampled_from([None, None, 1, 2, 3, 0])),
        offset=draw(st.sampled_from([0, 0, 0, 1])),
        cursor=draw(st.booleans()),
        version=draw(st.booleans()),
    )


@st.composite
def _child(draw: st.DrawFn, schema: Asked, field: FieldDef, number: int, depth: int) -> Child:
    select = draw(selects(schema, field.target, depth - 1))
    wanted = draw(aggregations(schema, field.target)) if draw(st.sampled_from([False, False, True])) else ()
    return Child(f"c{number}", field.name, select, wanted)


@st.composite
def aggregations(draw: st.DrawFn, schema: Asked, type: str) -> tuple[Aggregate, ...]:
    found = [Aggregate("all", "count")]
    for field in schema.types[type].fields.values():
        if not field.is_relation and not field.many:
            numbers = ["sum", "avg"] if field.kind in ("Int", "Float") else []
            function = draw(st.sampled_from(["count", "min", "max", *numbers]))
            found.append(Aggregate(f"{function} {field.name}", function, field.name))  # type: ignore[arg-type]
    return tuple(found)


@st.composite
def groupings(draw: st.DrawFn, schema: Asked, type: str) -> Group:
    fields = [field for field in schema.types[type].fields.values() if not field.is_relation and not field.many]
    if not fields:
        return Group("id")
    field = draw(st.sampled_from(fields))
    return Group(field.name, draw(st.sampled_from(["", "year", "month", "day"])) if field.kind == "DateTime" else "")  # type: ignore[arg-type]
