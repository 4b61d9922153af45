"""What is searched of a catalog: for each type its own marked fields, and those of the entities that it relates to, one
level deep.

A part is not found by its whole: a to-one relation to an entity that owns this one (deleting it deletes this one) is
not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pcloud.event import StoredEvent
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = [
    "UNITS",
    "Searched",
    "SearchedType",
    "base_field",
    "find_searched_types",
    "index_key",
    "news",
    "reshaped",
    "signature",
]

UNITS = {"year": 4, "month": 7, "day": 10}
"""A DateTime is also counted by the beginning of its value, under the name `takenAt_year` and so on."""
_NUMBERS = frozenset({"Int", "Int64", "Float", "DateTime"})
_FACETS = frozenset({"facet", "exact"})


@dataclass(frozen=True, slots=True)
class Searched:
    """One searched value of a document: its place (`field`, or `field` of what `relation` gives) and how it is
    searched."""

    field: str
    kind: str
    relation: str = ""
    text: bool = False
    facet: bool = False
    units: tuple[str, ...] = ()
    number: bool = False

    @property
    def path(self) -> str:
        return f"{self.relation}.{self.field}" if self.relation else self.field

    @property
    def facet_names(self) -> tuple[str, ...]:
        own = (self.path,) if self.facet else ()
        return (*own, *(f"{self.path}_{unit}" for unit in self.units))


@dataclass(frozen=True, slots=True)
class SearchedType:
    """How entities of a type become documents. `relations`: field → target type, for the followed relations."""

    type: str
    fields: Mapping[str, Searched]  # by path
    relations: Mapping[str, str]


def find_searched_types(catalog: Catalog) -> dict[str, SearchedType]:
    """By type; a type without a marked field of its own has no documents."""
    own = {name: found for name, type_ in catalog.types.items() if (found := _own(type_))}
    searched_types: dict[str, SearchedType] = {}
    for name, searched in own.items():
        fields = {one.path: one for one in searched}
        relations: dict[str, str] = {}
        for field in catalog.types[name].fields.values():
            if field.target in own and not _belongs_to(catalog, field):
                relations[field.name] = field.target
                for one in own[field.target]:
                    related = Searched(one.field, one.kind, field.name, one.text, one.facet, one.units, one.number)
                    fields[related.path] = related
        searched_types[name] = SearchedType(name, fields, relations)
    return searched_types


def news(
    before: Mapping[str, Mapping[str, str]], searched_types: Mapping[str, SearchedType]
) -> dict[str, set[Searched]]:
    """By type, what is searched now and was not before, or not in the same way; `before` as `signature` returned it."""
    found: dict[str, set[Searched]] = {}
    for name, searched_type in searched_types.items():
        known = before.get(name, {})
        if new := {one for path, one in searched_type.fields.items() if known.get(path) != repr(one)}:
            found[name] = new
    return found


def signature(searched_types: Mapping[str, SearchedType]) -> dict[str, dict[str, str]]:
    return {
        name: {path: repr(one) for path, one in searched_type.fields.items()}
        for name, searched_type in searched_types.items()
    }


def reshaped(events: Sequence[StoredEvent], known: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The types with a field that an app's catalog among the events has in another way than it is searched now
    (`known`, as `signature` returned it). A later catalog reverted that, and meanwhile the graph may have dropped the
    field's values."""
    found: set[str] = set()
    for event in events:
        text = event.change.set.get("catalog") if (event.ref.app, event.ref.type) == ("core", "App") else None
        if not isinstance(text, str):
            continue
        catalog = Catalog.from_json(text)
        for name, type_ in (*catalog.types.items(), *catalog.extensions.items()):
            own = {one.path: repr(one) for one in _own(type_)}
            searched = known.get(name, {}).items()
            if any(path in type_.fields and own.get(path) != shape for path, shape in searched):
                found.add(name)
    return found


def base_field(name: str) -> str:
    """`takenAt` for `takenAt_year`: the field whose permission the facet needs."""
    stem, _, unit = name.rpartition("_")
    return stem if stem and unit in UNITS else name


@lru_cache(4096)
def index_key(type: str, name: str) -> str:
    """Type and field (or facet) as one key in the index, made only of letters, digits and _."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", f"{type} {name}")


def _own(type_: TypeDef) -> list[Searched]:
    return [_searched(field) for field in type_.fields.values() if field.search and field.kind is not None]


def _searched(field: FieldDef) -> Searched:
    by = set(field.search)
    plain = field.kind in ("String", "ID")
    return Searched(
        field=field.name,
        kind=str(field.kind),
        text=plain and by != {"hash"},
        facet=field.kind in ("Enum", "Boolean") or bool(by & _FACETS),
        units=tuple(unit for unit in UNITS if unit in by) if field.kind == "DateTime" else (),
        number=field.kind in _NUMBERS,
    )


def _belongs_to(catalog: Catalog, field: FieldDef) -> bool:
    other = catalog.types[field.target].fields.get(field.inverse)
    return not field.many and other is not None and other.cascade
