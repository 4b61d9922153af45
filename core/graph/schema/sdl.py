"""The types of a view's GraphQL schema, as definitions in the schema language: outputs, inputs, filters.

The root fields are in `core.graph.schema.root_fields`, the rules for names in `core.graph.schema.names`, and the operators of a filter in
`core.graph.schema.filter`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Literal

from core.graph.schema.filter import filter_groups
from core.graph.schema.names import small
from core.graph.schema.view_type import ViewField, ViewType

__all__ = ["GROUP_UNITS", "scalar_name", "type_texts"]

GROUP_UNITS: tuple[Literal["year", "month", "day"], ...] = ("year", "month", "day")
_NUMBERS = ("Int", "Int64", "Float")
_SORTABLE = ("ID", "String", "Int", "Int64", "Float", "DateTime", "Enum")
_GROUPABLE = ("ID", "String", "Int", "Int64", "Boolean", "Enum")

_OPERANDS = {
    "Equal": "  eq: {0}\n  in: [{0}!]\n",
    "Range": "  le: {0}\n  lt: {0}\n  ge: {0}\n  gt: {0}\n  between: {1}\n",
    "Terms": '  "At least one of these words."\n  anyofterms: String\n  "All of these words."\n  allofterms: String\n',
    "RegExp": '  "An RE2 pattern, found anywhere in the text."\n  regexp: String\n',
}

_SCALARS = """
"A whole number of 64 bits; a text of digits is accepted too."
scalar Int64
"A time, answered in UTC with milliseconds: 2024-05-01T10:00:00.000Z. Any RFC 3339 time is accepted."
scalar DateTime
"Any JSON value."
scalar JSON
"How many entities have this value; null counts those without a value."
type GroupCount { value: String count: Int! }
"One past event of an entity, as far as this view shows it."
type HistoryEntry {
  revision: String!
  time: DateTime!
  kind: String!
  actor: String!
  "The app through which the actor did it; empty if it was done directly."
  through: String!
  cause: String!
  tx: String!
  "What was set, unset, linked and unlinked, under the view's names."
  change: JSON!
}
"""

_SCALAR_NAMES = ("Int64", "DateTime", "JSON", "GroupCount", "HistoryEntry")

_SEARCH = """
"A field is named as in the view: `camera`, `segments.label`, or `Image.camera` if several types have it."
input SearchFilter { facets: [SearchFacetFilter!] ranges: [SearchRangeFilter!] }
"Any of these values."
input SearchFacetFilter { field: String! values: [String!]! }
"Numbers or times. Both ends are included; each is optional."
input SearchRangeFilter { field: String! low: JSON high: JSON }
type SearchResult { total: Int! hits: [SearchHit!]! facets: [SearchFacet!]! }
type SearchHit { type: String! id: ID! score: Float! node: AnyNode }
type SearchFacet { field: String! values: [SearchFacetCount!]! }
type SearchFacetCount { value: String! count: Int! }
"""
_SEARCH_NAMES = (
    "SearchFilter",
    "SearchFacetFilter",
    "SearchRangeFilter",
    "SearchResult",
    "SearchHit",
    "SearchFacet",
    "SearchFacetCount",
)


def type_texts(types: Mapping[str, ViewType], enums: Mapping[str, tuple[str, ...]]) -> dict[str, Callable[[], str]]:
    """Return, by name, functions that return a text with a type's definition. `types` and `enums` by their names in the view."""
    texts: dict[str, Callable[[], str]] = dict.fromkeys(_SCALAR_NAMES, lambda: _SCALARS)
    texts |= {name: partial(_enum, name, values) for name, values in enums.items()}
    for type_ in types.values():
        texts |= dict.fromkeys(_names(type_), partial(_type, type_))
        for one in type_.fields.values():
            texts |= {name: partial(str, text) for name, text in _operand_inputs(one)}
    if types:
        texts |= dict.fromkeys(_SEARCH_NAMES, lambda: _SEARCH)
        texts["AnyNode"] = lambda: f"union AnyNode = {' | '.join(types)}"
    return texts


# --- one type --------------------------------------------------------------------------------------------------------------


def _doc(text: str) -> str:
    return f"{json.dumps(text)}\n" if text else ""


def _enum(name: str, values: Iterable[str]) -> str:
    return f"enum {name} {{ {' '.join(values)} }}"


def scalar_name(one: ViewField) -> str:
    return one.enum or str(one.definition.kind)


def _names(type_: ViewType) -> Iterator[str]:
    """Yield the names of everything that `_type` defines, without generating it."""
    name = type_.name
    yield from (
        name,
        *(f"{name}{suffix}" for suffix in ("Filter", "AggregateResult", "Order", "Orderable", "Event", "Ref")),
    )
    if type_.fields:
        yield f"{name}HasFilter"
    if any(groupable(type_)):
        yield f"{name}Group"
    if type_.addable:
        yield from (f"Add{name}Input", f"Add{name}Payload")
    if type_.deletable:
        yield f"Delete{name}Payload"
    if type_.updatable:
        yield from (f"{name}Patch", f"Update{name}Input", f"Update{name}Payload")


def _type(type_: ViewType) -> str:
    """Return the definitions of all types that the API makes for one type of the view."""
    name = type_.name
    parts = [
        _output(type_), _filter(type_), _aggregate(type_),
        _enum(f"{name}HasFilter", type_.fields) if type_.fields else "",
        f"input {name}Order {{ asc: {name}Orderable desc: {name}Orderable }}",
        _enum(f"{name}Orderable", ["id", *(one.name for one in type_.fields.values() if sortable(one))]),
        f"type {name}Event {{ kind: String! id: ID! revision: String! actor: String! through: String! changed: [String!]! node: {name} }}",
    ]  # fmt: skip
    if groups := list(groupable(type_)):
        parts.append(_enum(f"{name}Group", groups))
    parts.append(_reference(type_))
    if type_.addable:
        parts.append(_add_input(type_))
    if type_.updatable:
        parts.append(_patch(type_))
    verbs = [
        verb
        for verb, able in (("Add", type_.addable), ("Update", type_.updatable), ("Delete", type_.deletable))
        if able
    ]
    parts.extend(f"type {verb}{name}Payload {{ {small(name)}: [{name}!]! count: Int! }}" for verb in verbs)
    return "\n".join(part for part in parts if part)


def sortable(one: ViewField) -> bool:
    return not one.is_relation and not one.definition.many and one.definition.kind in _SORTABLE


def groupable(type_: ViewType) -> Iterator[str]:
    """Yield the values of a type's group enum: fields, and a DateTime reduced to its year, month or day."""
    for name, one in type_.fields.items():
        if one.is_relation or one.definition.many:
            continue
        if one.definition.kind in _GROUPABLE:
            yield name
        elif one.definition.kind == "DateTime":
            yield from (f"{name}_{unit}" for unit in GROUP_UNITS if f"{name}_{unit}" not in type_.fields)


def _output(type_: ViewType) -> str:
    lines = [
        "  id: ID!",
        '  "Pass it as `after` to continue after this entity."\n  _cursor: String!',
        "  _version: Int64!",
    ]
    for one in type_.fields.values():
        lines.append("  " + _doc(one.definition.description) + "  " + _output_field(one))
        if one.aggregate:
            lines.append(f"  {one.aggregate}(filter: {one.target}Filter): {one.target}AggregateResult!")
    body = "\n".join(lines)
    return f"{_doc(type_.definition.description)}type {type_.name} {{\n{body}\n}}"


def _output_field(one: ViewField) -> str:
    definition = one.definition
    if one.is_relation and definition.many:
        target = one.target
        arguments = f"filter: {target}Filter, order: [{target}Order!], first: Int, offset: Int, after: String"
        return f"{one.name}({arguments}): [{target}!]!"
    if one.is_relation:  # the target may be deleted, even if the schema requires it from writers
        return f"{one.name}: {one.target}"
    kind = f"[{scalar_name(one)}!]" if definition.many else scalar_name(one)
    return f"{one.name}: {kind}{'!' if definition.required and not one.added else ''}"


def _filter_name(one: ViewField) -> str:
    groups = filter_groups(one.definition)
    return f"{scalar_name(one)}{''.join(groups)}Filter" if groups else ""


def _operand_inputs(one: ViewField) -> Iterator[tuple[str, str]]:
    """Yield the input types that a field's filter needs, name and text; the same for every field of its kind."""
    if one.is_relation or not (name := _filter_name(one)):
        return
    kind, groups = scalar_name(one), filter_groups(one.definition)
    body = "".join(_OPERANDS[group].format(kind, f"{kind}Range") for group in groups)
    yield name, f"input {name} {{\n{body}}}"
    if "Range" in groups:
        yield f"{kind}Range", f"input {kind}Range {{ min: {kind}! max: {kind}! }}"


def _filter(type_: ViewType) -> str:
    name = type_.name
    lines = [
        "id: [ID!]", f"and: [{name}Filter!]",
        '"At least one of these must hold, and the other conditions as well."', f"or: [{name}Filter!]", f"not: {name}Filter",
    ]  # fmt: skip
    if type_.fields:
        lines.append(f"has: [{name}HasFilter!]")
    for one in type_.fields.values():
        if one.is_relation:
            lines.append(f'"At least one related entity matches."\n{one.name}: {one.target}Filter')
        elif operand := _filter_name(one):
            lines.append(f"{one.name}: {operand}")
    body = "\n".join(lines)
    return f'"All given conditions must hold."\ninput {name}Filter {{\n{body}\n}}'


def _aggregate(type_: ViewType) -> str:
    lines = ["count: Int!"]
    for one in type_.fields.values():
        if sortable(one) and one.definition.kind not in ("ID", "Enum"):
            lines += [f"{one.name}Min: {scalar_name(one)}", f"{one.name}Max: {scalar_name(one)}"]
        if one.definition.kind in _NUMBERS and not one.definition.many:
            total = "Float" if one.definition.kind == "Float" else "Int64"
            lines += [f"{one.name}Sum: {total}", f"{one.name}Avg: Float"]
    if any(groupable(type_)):
        lines.append(f"group(by: {type_.name}Group!, first: Int): [GroupCount!]!")
    body = "\n".join(lines)
    return f"type {type_.name}AggregateResult {{\n{body}\n}}"


# --- inputs ------------------------------------------------------------------------------------------------------------------


def _input_type(one: ViewField) -> str:
    inner = f"{one.target}Ref" if one.is_relation else scalar_name(one)
    return f"[{inner}!]" if one.definition.many else inner


def _writable(type_: ViewType) -> Iterator[ViewField]:
    return (one for one in type_.fields.values() if one.writable)


def _add_input(type_: ViewType) -> str:
    lines = [] if type_.id_field else ["id: ID"]
    for one in _writable(type_):
        must = one.definition.required and one.definition.default is None and not one.added
        lines.append(f"{one.name}: {_input_type(one)}{'!' if must else ''}")
    body = "\n".join(lines)
    return f"input Add{type_.name}Input {{\n{body}\n}}"


def _reference(type_: ViewType) -> str:
    """Define the input that names an existing entity by its id (or @id field), or, if the view may add them, a new one with its fields."""
    lines = ["id: ID"]
    identity = type_.id_field
    if identity is not None and not (type_.addable and identity.writable):
        lines.append(f"{identity.name}: {scalar_name(identity)}")
    if type_.addable:
        lines += [f"{one.name}: {_input_type(one)}" for one in _writable(type_)]
    body = "\n".join(lines)
    return f"input {type_.name}Ref {{\n{body}\n}}"


def _patch(type_: ViewType) -> str:
    lines = [f"{one.name}: {_input_type(one)}" for one in _writable(type_) if not one.definition.is_id]
    body = "\n".join(lines)
    name = type_.name
    return (
        f"input {name}Patch {{\n{body}\n}}\n"
        f'"`set`: new values (null removes one; links are added, a single link is replaced). `remove`: values and links to remove."\n'
        f"input Update{name}Input {{ filter: {name}Filter! set: {name}Patch remove: {name}Patch }}"
    )
