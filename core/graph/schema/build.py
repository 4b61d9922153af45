"""Builds a view: selects types and fields by what was granted, and gives each a unique name in the view."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from core.graph.schema.access import TypeAccess
from core.graph.schema.names import SHARED, generated, owner_field, owner_type
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewField, ViewType
from pcloud.subject import split_name
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = ["build_view"]

_ALIAS = re.compile(r"[A-Z](_?[A-Za-z0-9])*")  # a type's name; any other `as:` is ignored


def build_view(app: str, catalog: Catalog, access: Mapping[str, TypeAccess]) -> View:
    """Return the view that `access` allows over `catalog`."""
    names = _Names(app)
    aliases = {stored: names.for_type(stored, one.alias) for stored, one in access.items()}
    enum_names: dict[tuple[str, str], str] = {}  # (app, its enum) → name in the view
    enums: dict[str, tuple[str, ...]] = {}
    for stored, one in access.items():
        for definition in catalog.types[stored].fields.values():
            key = _declarer(stored, definition), definition.enum
            if definition.enum and one.sees(definition.name) and key not in enum_names:
                enum_names[key] = names.for_enum(*key)
                enums[enum_names[key]] = definition.values
    types: dict[str, ViewType] = {}
    for stored, one in access.items():
        definition = catalog.types[stored]
        fields = _fields(app, definition, one, aliases, enum_names)
        by_stored = {view_field.stored: view_field for view_field in fields.values()}
        addable = one.write and not any(_lacks(field, by_stored) for field in definition.fields.values())
        types[aliases[stored]] = ViewType(aliases[stored], definition, addable, one.write, fields, by_stored)
    return View(app, types, {one.stored: one for one in types.values()}, enums)


class _Names:
    """Gives each type and enum a unique name in the view; a clash is resolved by the owner's long name."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.used: set[str] = set(SHARED)

    def for_type(self, stored: str, alias: str) -> str:
        long = owner_type(stored)
        plain = alias if _ALIAS.fullmatch(alias) else split_name(stored)[1]
        return self._take([plain, long] if self.app else [long], makes=generated)

    def for_enum(self, app: str, name: str) -> str:
        long = owner_type(f"{app}/{name}")
        return self._take([long] if not self.app else [name, long], makes=lambda _name: ())

    def _take(self, wanted: list[str], makes: Callable[[str], Iterable[str]]) -> str:
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
    """Put the fields of the type's own app first, then those that this app added, then the others: earlier ones keep the plain name."""
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
        adder, plain = split_name(one.name)
        name = plain if not adder else owner_field(one.name) if not app or plain in result else plain
        enum = enum_names.get((_declarer(definition.name, one), one.enum), "")
        writable = access.writes(one.name)
        result[name] = ViewField(name, one, writable, added=adder != "", target=aliases.get(one.target, ""), enum=enum)
    for name, one in list(result.items()):
        if one.is_relation and one.definition.many and f"{name}Aggregate" not in result:
            result[name] = replace(one, aggregate=f"{name}Aggregate")
    return result


def _lacks(field: FieldDef, shown: Mapping[str, ViewField]) -> bool:
    """Return True if an entity can't be made without this field, which is not shown."""
    must = field.required and field.default is None and (field.written or not field.target)
    return must and field.name not in shown


def _declarer(type_: str, field: FieldDef) -> str:
    """Return the app that declares a field of a type (both by stored name)."""
    return split_name(field.name)[0] or split_name(type_)[0]
