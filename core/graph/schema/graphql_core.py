"""What PCloud uses of graphql-core beyond what that library exports: all of it is here, and a test says what an update has changed.

- `VariableValueSource`, `get_variable_signature`: `core.graph.api.variables` has readers of our own, in the library's form.
- `did_you_mean`, `suggestion_list`: the words that the library itself suggests names with, for messages about an app's schema.
- `keep_fields`: a type's fields are a cached property, which would make a copy of all fields, and so make each of them.
"""

from __future__ import annotations

from graphql import GraphQLField, GraphQLObjectType
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValueSource
from graphql.pyutils import did_you_mean, suggestion_list

__all__ = ["VariableValueSource", "did_you_mean", "get_variable_signature", "keep_fields", "suggestion_list"]


def keep_fields(type_: GraphQLObjectType, fields: dict[str, GraphQLField]) -> None:
    """Have `type_.fields` be this very dict."""
    vars(type_)["fields"] = fields  # where a cached property keeps its value
