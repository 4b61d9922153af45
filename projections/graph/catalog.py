"""The catalog: which types and fields exist, in the shape that stores and projections need.

Core's schema parser makes one from an app's `schema.graphql` and writes it, as JSON, into the app's `core/App` event; projections
read it from there, so that folding never depends on the parser's version. Fields are keyed by their stored name: `title` where the
type's own app declares it, `face-detector/faceCount` where another app added it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

__all__ = ["NO_TYPES", "Catalog", "FieldDef", "ScalarKind", "TypeDef", "merge"]

ScalarKind = Literal["ID", "String", "Int", "Int64", "Float", "Boolean", "DateTime", "Enum"]


class FieldDef(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One field of a type.

    A scalar field has `kind`; a relation has `target` (`app/Type`), and its `kind` is None. Exactly one of the two ends
    of a relation is `written`: the to-one end, or for many-to-many the type that declares it first; events carry links
    only under that field, and stores fold them into both. `inverse` is the stored name of the other end on the target,
    or ''.
    """

    name: str
    kind: ScalarKind | None = None
    many: bool = False  # a list of scalars, or a relation to many
    required: bool = False
    search: tuple[str, ...] = ()  # the `by:` of @search, e.g. ("term", "facet")
    values: tuple[str, ...] = ()  # for an enum
    enum: str = ""  # the enum's name
    default: Any = None
    is_id: bool = False  # @id: the entity's id is derived from this field's value
    target: str = ""
    inverse: str = ""
    written: bool = False
    cascade: bool = False  # with @hasInverse(onDelete: CASCADE): deleting this entity deletes those it points to
    description: str = ""

    @property
    def is_relation(self) -> bool:
        return self.target != ""


class TypeDef(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A type with all its fields (or, in an app's own catalog, the fields that this app adds to another's type)."""

    name: str  # app/Type
    fields: dict[str, FieldDef] = {}
    description: str = ""

    @property
    def id_field(self) -> FieldDef | None:
        return next((field for field in self.fields.values() if field.is_id), None)


class Catalog(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one app declares (`types`: its own, `extensions`: fields it adds to others'), or, merged, all existing
    `types`."""

    types: dict[str, TypeDef] = {}
    extensions: dict[str, TypeDef] = {}

    def to_json(self) -> str:
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str) -> Catalog:
        return msgspec.json.decode(text, type=cls)


NO_TYPES = Catalog()


def merge(catalogs: Iterable[Catalog]) -> Catalog:
    """All types with all extensions applied, in any order; an extension of a missing type is left out.

    A relation whose target does not exist is kept: its links fold to nothing.
    """
    catalogs = list(catalogs)
    types: dict[str, TypeDef] = {name: type_ for catalog in catalogs for name, type_ in catalog.types.items()}
    for catalog in catalogs:
        for name, extension in catalog.extensions.items():
            if name in types:
                merged: Mapping[str, FieldDef] = {**types[name].fields, **extension.fields}
                types[name] = msgspec.structs.replace(types[name], fields=dict(merged))
    return Catalog(types=types)
