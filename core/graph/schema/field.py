"""One field of a schema: its type, `@search`, `@id` and `@default`. Relations are resolved later, when all fields are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import FieldDefinitionNode, ListTypeNode, NamedTypeNode, Node, NonNullTypeNode, TypeNode

from core.graph.schema.directive import Word, read_directives
from core.graph.schema.names import RESERVED_FIELDS
from core.graph.schema.place import Places, suggest
from core.graph.schema.scalar import SCALARS, canonical
from pcloud.errors import Rejected
from pcloud.subject import check_field
from projections.graph.catalog import FieldDef, ScalarKind

__all__ = ["SEARCH_KINDS", "FieldDraft", "read_field"]

# The values of `@search(by:)` for each kind; the first is what a bare `@search` means (as in Dgraph).
SEARCH_KINDS: dict[str, tuple[str, ...]] = {
    "ID": ("hash", "exact", "facet"),
    "String": ("term", "hash", "exact", "fulltext", "trigram", "regexp", "facet"),
    "Int": ("int", "facet"),
    "Int64": ("int64", "facet"),
    "Float": ("float",),
    "Boolean": ("bool", "facet"),
    "DateTime": ("year", "month", "day", "hour"),
    "Enum": ("hash", "exact", "trigram", "regexp", "facet"),
}


@dataclass
class FieldDraft:
    """A field while its schema is read. `inverse`: the name that `@hasInverse` gives, as written."""

    name: str
    node: FieldDefinitionNode
    kind: str = ""
    target: str = ""
    many: bool = False
    required: bool = False
    search: tuple[str, ...] = ()
    enum: str = ""
    values: tuple[str, ...] = ()
    default: Any = None
    is_id: bool = False
    inverse: str = ""
    inverse_stored: str = ""
    cascade: bool = False
    written: bool = False
    stored: str = ""

    def to_definition(self) -> FieldDef:
        return FieldDef(
            name=self.stored, kind=cast("ScalarKind | None", self.kind or None), many=self.many, required=self.required,
            search=self.search, values=self.values, enum=self.enum, default=self.default, is_id=self.is_id,
            target=self.target, inverse=self.inverse_stored, written=self.written, cascade=self.cascade,
            description=self.node.description.value if self.node.description else "",
        )  # fmt: skip


def read_field(
    node: FieldDefinitionNode, enums: Mapping[str, tuple[str, ...]], types: Mapping[str, str], places: Places
) -> FieldDraft:
    """`types`: alias in this file → stored name."""
    draft = FieldDraft(_name(node, places), node)
    if node.arguments:
        places.refuse(node.arguments[0], f"the field {draft.name!r} can't take arguments: remove them")
    _read_type(draft, node.type, enums, types, places)
    found = read_directives(node.directives or (), {"hasInverse", "search", "id", "default"}, places)
    at = {directive.name.value: directive for directive in node.directives or ()}
    if "hasInverse" in found:
        if not draft.target:
            places.refuse(
                at["hasInverse"], f"@hasInverse belongs on relations, and {draft.name!r} is a scalar: remove it"
            )
        draft.inverse = str(found["hasInverse"]["field"])
        draft.cascade = "onDelete" in found["hasInverse"]
    for name in ("search", "id", "default"):
        if name in found and draft.target:
            places.refuse(at[name], f"@{name} belongs on scalar fields, and {draft.name!r} is a relation: remove it")
    if "search" in found:
        draft.search = _search(draft, found["search"], at["search"], places)
    if "id" in found:
        _check_identity(draft, at["id"], places)
    if "default" in found:
        draft.default = _default(draft, found["default"]["value"], at["default"], places)
    return draft


def _name(node: FieldDefinitionNode, places: Places) -> str:
    name = node.name.value
    if name == "id":
        places.refuse(node, "every type already has `id: ID!`: remove this line (or mark another field with @id)")
    if name.startswith("__"):
        places.refuse(node, f"the field {name!r} begins with '__', which GraphQL reserves: rename it")
    if name in RESERVED_FIELDS:
        places.refuse(node, f"the field name {name!r} is reserved by PCloud: rename it")
    try:
        return check_field(name)
    except Rejected as error:
        places.refuse(node, error.message, error)


def _read_type(
    draft: FieldDraft, node: TypeNode, enums: Mapping[str, tuple[str, ...]], types: Mapping[str, str], places: Places
) -> None:
    inner = node
    if isinstance(inner, NonNullTypeNode):
        draft.required, inner = True, inner.type
    if isinstance(inner, ListTypeNode):
        draft.many, inner = True, inner.type
        if isinstance(inner, NonNullTypeNode):
            inner = inner.type
        if isinstance(inner, ListTypeNode):
            places.refuse(node, f"the field {draft.name!r} is a list of lists, which is not supported: use one list")
    assert isinstance(inner, NamedTypeNode)
    name = inner.name.value
    if name in SCALARS:
        draft.kind = name
    elif name in enums:
        draft.kind, draft.enum, draft.values = "Enum", name, enums[name]
    elif name in types:
        draft.target = types[name]
        draft.required = draft.required and not draft.many
    else:
        hint = suggest(name, [*SCALARS, *enums, *types])
        places.refuse(
            inner,
            f"unknown type {name!r}.{hint} Use one of {', '.join(SCALARS)}, a type or enum of this file, "
            f'or import another app\'s type with `extend type {name} @from(app: "the-app")`',
        )


def _search(draft: FieldDraft, arguments: Mapping[str, Any], node: Node, places: Places) -> tuple[str, ...]:
    allowed = SEARCH_KINDS[draft.kind]
    given = arguments.get("by")
    if "by" not in arguments:
        return allowed[:1]
    kinds = cast("list[Any]", given) if isinstance(given, list) else [given]
    for kind in kinds:
        if not isinstance(kind, Word):
            places.refuse(node, f"`by` of @search takes bare names such as [{allowed[0]}], not {kind!r}")
        if kind not in allowed:
            places.refuse(node, f"@search(by: {kind}) does not fit a {draft.kind} field: use {', '.join(allowed)}")
    if not kinds:
        places.refuse(node, f"`by` of @search is empty: use {', '.join(allowed)}, or a bare @search")
    return tuple(dict.fromkeys(str(kind) for kind in kinds))


def _check_identity(draft: FieldDraft, node: Node, places: Places) -> None:
    if draft.many or draft.kind not in ("ID", "String", "Int", "Int64"):
        places.refuse(node, f"@id needs a single ID, String, Int or Int64, which {draft.name!r} is not: remove it")
    if not draft.required:
        places.refuse(node, f"an @id field must have a value: write `{draft.name}: {draft.kind}! @id`")
    draft.is_id = True


def _default(draft: FieldDraft, value: Any, node: Node, places: Places) -> Any:
    if draft.is_id:
        places.refuse(node, "an @id field can't have a @default: each entity needs its own value")
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    if draft.many != isinstance(value, list) or value is None or any(isinstance(one, list) for one in items):
        places.refuse(node, f"the @default of {draft.name!r} must be {'a list' if draft.many else f'one {draft.kind}'}")
    checked: list[Any] = []
    for one in items:
        if isinstance(one, Word) != (draft.kind == "Enum"):
            want = f"one of {', '.join(draft.values)}, without quotes" if draft.kind == "Enum" else f"a {draft.kind}"
            places.refuse(node, f"the @default of {draft.name!r} is {one!r}, but it must be {want}")
        try:
            plain = str(one) if isinstance(one, Word) else one
            checked.append(canonical(draft.kind, plain, draft.values, place=f"the @default of {draft.name!r}"))
        except Rejected as error:
            places.refuse(node, error.message, error)
    return checked if draft.many else checked[0]
