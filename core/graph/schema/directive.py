"""The directives of a schema, the arguments that each takes, and reading them from a node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import (
    BooleanValueNode,
    ConstDirectiveNode,
    DirectiveNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    StringValueNode,
    ValueNode,
)

from core.graph.schema.place import Places, suggest

__all__ = ["DIRECTIVES", "Word", "literal", "read_directives"]

# Directive → argument → (required, what to write).
DIRECTIVES: dict[str, dict[str, tuple[bool, str]]] = {
    "hasInverse": {"field": (True, "a field's name"), "onDelete": (False, "CASCADE")},
    "search": {"by": (False, "a list such as [term, facet]")},
    "id": {},
    "default": {"value": (True, "a value")},
    "from": {
        "app": (True, 'an app\'s name in quotes, such as "image-importer"'),
        "type": (False, "the type's name in quotes"),
    },
}
_TEXTS = {("from", "app"), ("from", "type")}
_WORDS = {("hasInverse", "field"), ("hasInverse", "onDelete")}


class Word(str):
    """A bare name in a schema's text, `CASCADE`, in contrast to the text `"CASCADE"`."""

    __slots__ = ()


def literal(node: ValueNode, places: Places) -> Any:
    """Return a constant as a Python value; a bare name becomes a `Word`."""
    match node:
        case StringValueNode(value=value):
            return str(value)
        case EnumValueNode(value=value):
            return Word(value)
        case BooleanValueNode(value=value):
            return bool(value)
        case IntValueNode(value=value):
            return int(value)
        case FloatValueNode(value=value):
            return float(value)
        case NullValueNode():
            return None
        case ListValueNode(values=values):
            return [literal(one, places) for one in values]
        case _:
            pass
    places.refuse(node, "an object is not allowed here: write a plain value")
    return None


def read_directives(
    nodes: Iterable[DirectiveNode | ConstDirectiveNode], allowed: set[str], places: Places
) -> dict[str, dict[str, Any]]:
    """Return each directive's arguments by name, checked against `DIRECTIVES`; refuse unknown, repeated and misplaced directives."""
    found: dict[str, dict[str, Any]] = {}
    for node in nodes:
        name = node.name.value
        if name not in DIRECTIVES:
            known = ", ".join(f"@{one}" for one in DIRECTIVES)
            places.refuse(node, f"unknown directive @{name}.{suggest(name, DIRECTIVES)} There are {known}")
        if name not in allowed:
            where = "`extend type`" if name == "from" else "fields"
            places.refuse(node, f"@{name} is not allowed here, it belongs on {where}: remove it")
        if name in found:
            places.refuse(node, f"@{name} is here twice: remove one")
        found[name] = _arguments(node, name, places)
    return found


def _arguments(node: DirectiveNode | ConstDirectiveNode, name: str, places: Places) -> dict[str, Any]:
    wanted, given = DIRECTIVES[name], dict[str, Any]()
    for argument in node.arguments or ():
        key = argument.name.value
        if key not in wanted:
            takes = f"takes {', '.join(f'`{one}`' for one in wanted)}" if wanted else "takes no arguments"
            places.refuse(argument, f"@{name} has no argument `{key}`, it {takes}.{suggest(key, wanted)}")
        if key in given:
            places.refuse(argument, f"the argument `{key}` is given twice: remove one")
        value = literal(argument.value, places)
        _check_form(argument.value, name, key, value, places)
        given[key] = value
    for key, (required, what) in wanted.items():
        if required and key not in given:
            places.refuse(node, f"@{name} lacks its argument `{key}`: write @{name}({key}: …) with {what}")
    return given


def _check_form(node: ValueNode, name: str, key: str, value: Any, places: Places) -> None:
    if (name, key) in _TEXTS and (not isinstance(value, str) or isinstance(value, Word)):
        places.refuse(node, f"`{key}` of @{name} wants {DIRECTIVES[name][key][1]}")
    if (name, key) in _WORDS and not isinstance(value, str):
        places.refuse(node, f"`{key}` of @{name} wants {DIRECTIVES[name][key][1]}")
    if key == "onDelete" and value != "CASCADE":
        places.refuse(node, f"`onDelete` takes only CASCADE, not {value!r}: write CASCADE or leave it out")
