"""The types of a catalog as a text in the schema language with PCloud's directives, under the names that the owner sees.

For readers outside PCloud: an export has it beside the nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from core.graph.schema.names import owner_field, owner_type, pascal
from pcloud.subject import split_name
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = ["declared_text"]


def declared_text(catalog: Catalog) -> str:
    """Return the definitions of all types and enums, in order of their names."""
    types = [type_ for _, type_ in sorted(catalog.types.items())]
    enums = {
        _enum_name(type_, one): one.values for type_ in types for one in type_.fields.values() if one.kind == "Enum"
    }
    texts = [_type(type_) for type_ in types]
    texts += [f"enum {name} {{ {' '.join(values)} }}\n" for name, values in sorted(enums.items())]
    return "\n".join(texts)


def _type(type_: TypeDef) -> str:
    fields = "".join(
        f"{_description(one.description, '  ')}  {owner_field(one.name)}: {_kind(type_, one)}{''.join(_directives(one))}\n"
        for one in type_.fields.values()
    )
    return f"{_description(type_.description, '')}type {owner_type(type_.name)} {{\n  id: ID!\n{fields}}}\n"


def _description(text: str, indent: str) -> str:
    return f"{indent}{json.dumps(text)}\n" if text else ""


def _kind(type_: TypeDef, one: FieldDef) -> str:
    kind = owner_type(one.target) if one.is_relation else str(one.kind)
    kind = _enum_name(type_, one) if one.kind == "Enum" else kind
    return (f"[{kind}!]" if one.many else kind) + ("!" if one.required else "")


def _enum_name(type_: TypeDef, one: FieldDef) -> str:
    """An enum belongs to the app that declared the field."""
    app = split_name(one.name)[0] or split_name(type_.name)[0]
    return f"{pascal(app)}_{one.enum}"


def _directives(one: FieldDef) -> Iterator[str]:
    if one.is_id:
        yield " @id"
    if one.search:
        yield f" @search(by: [{', '.join(one.search)}])"
    if one.default is not None:
        yield f" @default(value: {one.default if one.kind == 'Enum' else json.dumps(one.default)})"
    if one.inverse:
        cascade = ", onDelete: CASCADE" if one.cascade else ""
        yield f" @hasInverse(field: {owner_field(one.inverse)}{cascade})"
