"""Turns texts in the schema language into a schema that checks incoming values.

The text of each type is parsed once and its syntax tree kept, so that a view is rebuilt in milliseconds when an app is installed or
removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, cast

from ariadne import ScalarType
from graphql import FieldDefinitionNode, ObjectTypeDefinitionNode, TypeDefinitionNode, parse, value_from_ast_untyped

from core.graph.schema.on_demand import OnDemandSchema, SchemaSource
from core.graph.schema.scalar import canonical
from pcloud.errors import Rejected

__all__ = ["build_schema", "parse_definitions"]

Text = Callable[[], str]


def _checked(kind: str) -> ScalarType:
    def read(given: Any) -> Any:
        try:
            return canonical(kind, given)
        except Rejected as error:
            raise ValueError(error.message) from error

    return ScalarType(kind, value_parser=read, literal_parser=lambda node, _=None: read(value_from_ast_untyped(node)))


# Enums need no `EnumType`: the graph stores their values by name.
SCALAR_TYPES = (_checked("Int64"), _checked("DateTime"))


@lru_cache(maxsize=4_096)
def parse_definitions(text: str) -> tuple[TypeDefinitionNode, ...]:
    """Parse a text that holds definitions of types alone, as all do that are made here or by a wing of core."""
    return cast("tuple[TypeDefinitionNode, ...]", tuple(parse(text, no_location=True).definitions))


def build_schema(
    types: Mapping[str, Text],
    roots: Mapping[str, Mapping[str, str | FieldDefinitionNode]],
    more: Iterable[TypeDefinitionNode] = (),
) -> OnDemandSchema:
    """Return the schema, whose scalars check and canonicalise incoming values.

    `types`: name → function that returns a text in which the type is defined. `roots`: root type → field → its definition. `more`:
    further types.
    """
    sources = {name: partial(_definitions, text) for name, text in types.items()}
    more = tuple(more)
    sources |= {node.name.value: lambda: more for node in more}
    fields = {
        root: {name: partial(_field, given) for name, given in texts.items()} for root, texts in roots.items() if texts
    }
    schema = OnDemandSchema(SchemaSource(sources, fields))
    for scalar in SCALAR_TYPES:
        scalar.bind_to_schema(schema)
    return schema


def _definitions(text: Text) -> tuple[TypeDefinitionNode, ...]:
    return parse_definitions(text())


def _field(given: str | FieldDefinitionNode) -> FieldDefinitionNode:
    if isinstance(given, FieldDefinitionNode):
        return given
    (node,) = parse(f"type Root {{ {given} }}", no_location=True).definitions
    assert isinstance(node, ObjectTypeDefinitionNode) and node.fields
    return node.fields[0]
