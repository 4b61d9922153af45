"""From definitions in the schema language to a schema that checks what comes in.

The text of each type is parsed once and its syntax tree kept, so that a view is rebuilt in milliseconds when an app comes or goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from graphql import DefinitionNode, DocumentNode, GraphQLScalarType, GraphQLSchema, build_ast_schema, parse
from graphql.utilities import value_from_ast_untyped

from core.schema.scalar import canonical
from pcloud.errors import Rejected

__all__ = ["build_schema", "parse_definitions"]


@lru_cache(maxsize=2_048)
def parse_definitions(text: str) -> tuple[DefinitionNode, ...]:
    return tuple(parse(text, no_location=True).definitions)


def build_schema(definitions: Sequence[DefinitionNode]) -> GraphQLSchema:
    """The executable schema; its own scalars check and canonicalise what comes in."""
    document = DocumentNode(definitions=tuple(definitions))
    schema = build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)
    for name in ("Int64", "DateTime"):
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        _check_input(scalar, name)
    return schema


def _check_input(scalar: GraphQLScalarType, kind: str) -> None:
    def value(given: Any) -> Any:
        try:
            return canonical(kind, given)
        except Rejected as error:
            raise ValueError(error.message) from error

    scalar.coerce_input_value = value  # type: ignore[method-assign]
    scalar.coerce_input_literal = lambda node: value(value_from_ast_untyped(node))  # type: ignore[method-assign]
    scalar.parse_value = value  # type: ignore[method-assign]
    scalar.parse_literal = lambda node, _variables=None: value(value_from_ast_untyped(node))  # type: ignore[method-assign]
