"""A caller's view: the types and fields that exist for it, under the names that it uses, and the GraphQL schema made of them.

A view is immutable. Whatever is not in it does not exist for the caller: every name that comes in is translated to a stored one here,
so a type that is hidden can't be reached by a filter, an order, a search or an error message.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import DefinitionNode, GraphQLSchema

from core.schema.access import TypeAccess
from core.schema.executable import build_schema
from core.schema.names import SHARED, generated, owner_field, owner_type
from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.port import Filter

__all__ = ["View", "ViewField", "ViewType", "build_view"]

_versions = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ViewField:
    """A field under its name in the view. `target`, `enum`: names in the view. `aggregate`: the name of a to-many relation's sibling
    that counts, '' for none. `added`: by another app than the type's own, so entities may be without it."""

    name: str
    definition: FieldDef
    writable: bool
    added: bool = False
    target: str = ""
    enum: str = ""
    aggregate: str = ""

    @property
    def stored(self) -> str:
        return self.definition.name

    @property
    def is_relation(self) -> bool:
        return self.definition.target != ""


@dataclass(frozen=True, slots=True)
class ViewType:
    """A type under its name in the view; `fields` by view name, `by_stored` the same by stored name."""

    name: str
    definition: TypeDef
    addable: bool
    fields: Mapping[str, ViewField]
    by_stored: Mapping[str, ViewField]

    @property
    def stored(self) -> str:
        return self.definition.name

    @property
    def app(self) -> str:
        return self.definition.name.partition("/")[0]

    @property
    def id_field(self) -> ViewField | None:
        return next((one for one in self.fields.values() if one.definition.is_id), None)

    @property
    def updatable(self) -> bool:
        return any(one.writable and not one.definition.is_id for one in self.fields.values())


@dataclass(frozen=True, eq=False)
class View:
    """`app`: whose view ('' the owner's). `version`: unique in this process, for caches."""

    app: str
    types: Mapping[str, ViewType]
    by_stored: Mapping[str, ViewType]
    enums: Mapping[str, tuple[str, ...]]
    version: int = field(default_factory=lambda: next(_versions))

    @cached_property
    def definitions(self) -> tuple[DefinitionNode, ...]:
        """The schema language's definitions of everything in the view."""
        from core.schema.sdl import view_definitions

        return view_definitions(self)

    @cached_property
    def schema(self) -> GraphQLSchema:
        return build_schema(self.definitions)

    def type(self, name: str) -> ViewType:
        """Raises `Rejected` for a name that is not in the view."""
        if (found := self.types.get(name)) is None:
            raise Rejected(f"there is no type {name!r}: {self._names()}")
        return found

    def _names(self) -> str:
        return f"use one of {', '.join(sorted(self.types))}" if self.types else "this view has no types"

    def filter(self, type: str, where: Mapping[str, Any]) -> Filter:
        """A filter in the API's form, `{"mime": {"eq": "image/jpeg"}}`, for the store. Raises `Rejected`."""
        from core.schema.filter import translate

        return translate(self, self.type(type), where)

    @cached_property
    def _searchable(self) -> dict[str, frozenset[str]]:
        from core.schema.searchable import searchable_fields

        return {one.stored: fields for one in self.types.values() if (fields := searchable_fields(self, one))}

    def searchable(self) -> dict[str, frozenset[str]]:
        """For each stored type the stored fields that the caller may match and facet on; `relation.field` one level deep."""
        return self._searchable


def build_view(app: str, catalog: Catalog, access: Mapping[str, TypeAccess]) -> View:
    """The view that `access` allows over `catalog`."""
    names = _Names(app)
    aliases = {stored: names.for_type(stored, one.alias) for stored, one in access.items()}
    enums: dict[str, tuple[str, ...]] = {}
    enum_names: dict[tuple[str, str], str] = {}
    for stored, one in access.items():
        for definition in catalog.types[stored].fields.values():
            if definition.enum and one.sees(definition.name):
                owner = definition.name.partition("/")[0] if "/" in definition.name else stored.partition("/")[0]
                name = enum_names.setdefault((owner, definition.enum), "") or names.for_enum(owner, definition.enum)
                enum_names[owner, definition.enum] = name
                enums[name] = definition.values
    types: dict[str, ViewType] = {}
    for stored, one in access.items():
        definition = catalog.types[stored]
        fields = _fields(app, definition, one, aliases, enum_names)
        by_stored = {view_field.stored: view_field for view_field in fields.values()}
        types[aliases[stored]] = ViewType(aliases[stored], definition, one.write, fields, by_stored)
    return View(app, types, {one.stored: one for one in types.values()}, enums)


class _Names:
    """Gives each type and enum a name that nothing else in the view has; a clash is settled by the owner's long name."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.used: set[str] = set(SHARED)

    def for_type(self, stored: str, alias: str) -> str:
        long = owner_type(stored)
        wanted = [long] if not self.app else [alias or stored.partition("/")[2], long]
        return self._take(wanted, makes=generated)

    def for_enum(self, app: str, name: str) -> str:
        long = owner_type(f"{app}/{name}")
        return self._take([long] if not self.app else [name, long], makes=lambda _name: ())

    def _take(self, wanted: list[str], makes: Any) -> str:
        for name in itertools.chain(wanted, (f"{wanted[-1]}{number}" for number in itertools.count(2))):
            made = {name, *makes(name)}
            if not made & self.used:
                self.used |= made
                return name
        raise AssertionError("an endless chain ended")


def _fields(
    app: str,
    definition: TypeDef,
    access: TypeAccess,
    aliases: Mapping[str, str],
    enum_names: Mapping[tuple[str, str], str],
) -> dict[str, ViewField]:
    """Fields of the type's own app first, then those that this app added, then the others: earlier ones keep the plain name."""
    seen = [
        one
        for name, one in definition.fields.items()
        if access.sees(name) and (not one.target or one.target in aliases)
    ]
    seen.sort(
        key=lambda one: ("/" in one.name, not one.name.startswith(f"{app}/"), one.name if "/" in one.name else "")
    )
    result: dict[str, ViewField] = {}
    for one in seen:
        adder, slash, plain = one.name.partition("/")
        name = one.name if not slash else owner_field(one.name) if not app or plain in result else plain
        owner = adder if slash else definition.name.partition("/")[0]
        result[name] = ViewField(
            name, one, access.writes(one.name), added=bool(slash), target=aliases.get(one.target, ""),
            enum=enum_names.get((owner, one.enum), ""),
        )  # fmt: skip
    for name, one in list(result.items()):
        if one.is_relation and one.definition.many and f"{name}Aggregate" not in result:
            object.__setattr__(one, "aggregate", f"{name}Aggregate")
    return result
