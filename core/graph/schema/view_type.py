"""A type and a field as one view shows them: under the view's names, with the caller's permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pcloud.subject import Ref, TypeName
from projections.graph.catalog import FieldDef, TypeDef

__all__ = ["ViewField", "ViewType"]


@dataclass(frozen=True, slots=True)
class ViewField:
    """A field under its name in the view. `target`, `enum`: names in the view. `aggregate`: the name of the sibling field that counts a
    to-many relation, '' if it has no such field. `added`: by another app than the type's own, so entities may lack it."""

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
    """A type under its name in the view; `fields` by view name, `by_stored` the same by stored name.

    `addable`: whether entities may be made; False if a required field is not in the view."""

    name: str
    definition: TypeDef
    addable: bool
    deletable: bool
    fields: Mapping[str, ViewField]
    by_stored: Mapping[str, ViewField]

    @property
    def stored(self) -> str:
        return self.definition.name

    @property
    def app(self) -> str:
        return self.type_name.app

    @property
    def type_name(self) -> TypeName:
        return TypeName.stored(self.definition.name)

    def ref(self, id: str) -> Ref:
        """One entity of the type."""
        return self.type_name.ref(id)

    @property
    def id_field(self) -> ViewField | None:
        return next((one for one in self.fields.values() if one.definition.is_id), None)

    @property
    def updatable(self) -> bool:
        return any(one.writable and not one.definition.is_id for one in self.fields.values())
