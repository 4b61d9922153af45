"""Turns an entity of the graph into a document of the index."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from pcloud.errors import Rejected
from projections.graph.contract import Child, Filter, Order, Row, Select
from projections.search.searched_fields import UNITS, Searched, SearchedType, index_key

__all__ = ["SearchDocument", "content_of", "rank", "select_for"]

MOST_RELATED = 256
"""The most related entities that are searched with their parent: an album is not found by each of 10,000 photos in
it."""


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """A document: its key `app/Type/id`, its values by index key, and the keys of the entities whose values it
    holds."""

    key: str
    type: str
    text: Mapping[str, list[str]]
    facet: Mapping[str, list[str]]
    number: Mapping[str, list[int]]
    related: tuple[str, ...]


def select_for(searched_type: SearchedType, filter: Filter | None, **page: Any) -> Select:
    """What to fetch of entities of the type."""
    children = tuple(
        Child(
            relation,
            relation,
            Select(
                target,
                ("id", *(one.field for one in searched_type.fields.values() if one.relation == relation)),
                order=(Order("id"),),
                first=MOST_RELATED,
            ),
        )
        for relation, target in searched_type.relations.items()
    )
    own = tuple(one.field for one in searched_type.fields.values() if not one.relation)
    return Select(searched_type.type, ("id", *own), children=children, filter=filter, **page)


def content_of(searched_type: SearchedType, row: Row) -> SearchDocument:
    text: dict[str, list[str]] = defaultdict(list)
    facet: dict[str, list[str]] = defaultdict(list)
    number: dict[str, list[int]] = defaultdict(list)
    for path, one in searched_type.fields.items():
        for value in _values(one, row):
            if one.text:
                text[index_key(searched_type.type, path)].append(value)
            if one.facet:
                facet[index_key(searched_type.type, path)].append(facet_value(value))
            for unit in one.units:
                facet[index_key(searched_type.type, f"{path}_{unit}")].append(value[: UNITS[unit]])
            if one.number and (place := _rank_if_any(one.kind, value)) is not None:
                number[index_key(searched_type.type, path)].append(place)
    related = [
        f"{target}/{child['id']}"
        for relation, target in searched_type.relations.items()
        for child in _children(row[relation])
    ]
    return SearchDocument(
        f"{searched_type.type}/{row['id']}", searched_type.type, text, facet, number, tuple(dict.fromkeys(related))
    )


def facet_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def rank(kind: str, value: Any) -> int:
    """A number or a time as a 64-bit integer with the same order: tantivy compares integers with floats badly, or
    panics.

    A float's bits have the order of integers if the bits of the negative ones are inverted (IEEE 754, section 5.10).
    """
    if kind == "DateTime":
        return milliseconds(value)
    if kind != "Float":
        return value
    bits = struct.unpack(">q", struct.pack(">d", value + 0.0))[0]
    return bits if bits >= 0 else bits ^ 0x7FFF_FFFF_FFFF_FFFF


def _rank_if_any(kind: str, value: Any) -> int | None:
    """None for a text that is not a time: the graph keeps what the log says, and the index must not stop at it."""
    try:
        return rank(kind, value)
    except Rejected:
        return None


def milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970; raises `Rejected`."""
    try:
        moment = datetime.fromisoformat(time)
    except (ValueError, TypeError, OverflowError) as error:
        raise Rejected(f"{time!r} is not a time: write it as 2024-05-01T10:00:00Z") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _values(one: Searched, row: Row) -> Iterable[Any]:
    for source in _children(row[one.relation]) if one.relation else (row,):
        value = source[one.field]
        if isinstance(value, list):
            yield from cast("list[Any]", value)
        elif value is not None:
            yield value


def _children(found: Any) -> list[Row]:
    if found is None:
        return []
    return cast("list[Row]", found) if isinstance(found, list) else [found]
