"""How a relation field finds its entities: by which end's stored links, and in which direction."""

from __future__ import annotations

from dataclasses import dataclass

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = ["Relation", "find_field", "find_relation", "find_scalar", "find_type", "is_exclusive", "is_symmetric"]


@dataclass(frozen=True, slots=True)
class Relation:
    """`type.field` is the *written* end, whose links are stored: in a column when `to_one`, else as edges (source,
    target).

    `forward`: the requested field is that end itself. `many`: it gives a list. `target`: the type at its other end.
    """

    type: str
    field: str
    to_one: bool
    forward: bool
    many: bool
    target: str


def find_type(catalog: Catalog, name: str) -> TypeDef:
    type_ = catalog.types.get(name)
    if type_ is None:
        raise Rejected(f"there is no type {name!r}")
    return type_


def find_field(catalog: Catalog, type: str, name: str) -> FieldDef:
    field = find_type(catalog, type).fields.get(name)
    if field is None:
        raise Rejected(f"the type {type!r} has no field {name!r}")
    return field


_ID = FieldDef(name="id", kind="ID", required=True)


def find_scalar(catalog: Catalog, type: str, name: str) -> FieldDef:
    """The scalar field; every type has 'id'. Raises `Rejected`."""
    if name == "id":
        find_type(catalog, type)
        return _ID
    field = find_field(catalog, type, name)
    if field.is_relation:
        raise Rejected(f"{name!r} of {type!r} is a relation: it has no value to compare, order or group by")
    return field


def find_relation(catalog: Catalog, type: str, name: str) -> Relation:
    field = find_field(catalog, type, name)
    if not field.is_relation:
        raise Rejected(f"{name!r} of {type!r} is not a relation")
    find_type(catalog, field.target)
    if field.written or not field.inverse:
        return Relation(type, name, to_one=not field.many, forward=True, many=field.many, target=field.target)
    other = find_field(catalog, field.target, field.inverse)
    return Relation(
        field.target, field.inverse, to_one=not other.many, forward=False, many=field.many, target=field.target
    )


def is_exclusive(catalog: Catalog, field: FieldDef) -> bool:
    """One to one: a new link removes its target's earlier link."""
    if field.many or not field.inverse or field.target not in catalog.types:
        return False
    inverse = catalog.types[field.target].fields.get(field.inverse)
    return inverse is not None and not inverse.many


def is_symmetric(type: str, field: FieldDef) -> bool:
    """Its own inverse (`friends`): each link holds in both directions."""
    return field.target == type and field.inverse == field.name
