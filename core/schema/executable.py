"""From texts in the schema language to a schema that checks what comes in.

The text of each type is parsed once and its syntax tree kept, so that a view is rebuilt in milliseconds when an app comes or goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from graphql import DefinitionNode, FieldDefinitionNode, GraphQLScalarType, ObjectTypeDefinitionNode, parse
from graphql.utilities import value_from_ast_untyped

from core.schema.on_demand import OnDemandSchema, SchemaSource
from core.schema.scalar import canonical
from pcloud.errors import Rejected

__all__ = ["build_schema", "parse_definitions"]

_CHECKED = ("Int64", "DateTime")
Text = Callable[[], str]


@lru_cache(maxsize=4_096)
def parse_definitions(text: str) -> tuple[DefinitionNode, ...]:
    return tuple(parse(text, no_location=True).definitions)


def build_schema(
    types: Mapping[str, Text], roots: Mapping[str, Mapping[str, str]], more: Iterable[str] = ()
) -> OnDemandSchema:
    """The executable schema; its own scalars check and canonicalise what comes in.

    `types`: name → what gives a text in which the type is defined. `roots`: root type → field → its definition. `more`: texts of further
    types, which are read at once.
    """
    sources = {name: partial(_definitions, text) for name, text in types.items()}
    for text in more:
        for node in parse_definitions(text):
            sources[getattr(node, "name").value] = partial(parse_definitions, text)  # noqa: B009
    fields = {
        root: {name: partial(_field, text) for name, text in texts.items()} for root, texts in roots.items() if texts
    }
    return OnDemandSchema(SchemaSource(sources, fields, _check_input))


def _definitions(text: Text) -> tuple[DefinitionNode, ...]:
    return parse_definitions(text())


def _field(text: str) -> FieldDefinitionNode:
    (node,) = parse(f"type Root {{ {text} }}", no_location=True).definitions
    assert isinstance(node, ObjectTypeDefinitionNode) and node.fields
    return node.fields[0]


def _check_input(scalar: GraphQLScalarType) -> None:
    kind = scalar.name
    if kind not in _CHECKED:
        return

    def value(given: Any) -> Any:
        try:
            return canonical(kind, given)
        except Rejected as error:
            raise ValueError(error.message) from error

    scalar.coerce_input_value = value  # type: ignore[method-assign]
    scalar.coerce_input_literal = lambda node: value(value_from_ast_untyped(node))  # type: ignore[method-assign]
    scalar.parse_value = value  # type: ignore[method-assign]
    scalar.parse_literal = lambda node, _variables=None: value(value_from_ast_untyped(node))  # type: ignore[method-assign]
