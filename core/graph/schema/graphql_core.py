"""The parts of graphql-core that PCloud uses beyond the library's exports, all in this file; a test reports what an update changes.

- `VariableValueSource`, `get_variable_signature`: `core.graph.api.variables` has its own readers, in the library's form.
- `did_you_mean`, `suggestion_list`: the library's own wording of suggestions, for messages about an app's schema.
- `keep_fields`: a type's fields are a cached property, which would copy, and so make, all of its fields.
"""

from __future__ import annotations

from graphql import GraphQLField, GraphQLObjectType
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValueSource
from graphql.pyutils import did_you_mean, suggestion_list

__all__ = ["VariableValueSource", "did_you_mean", "get_variable_signature", "keep_fields", "suggestion_list"]


def keep_fields(type_: GraphQLObjectType, fields: dict[str, GraphQLField]) -> None:
    """Make `type_.fields` return this very dict."""
    vars(type_)["fields"] = fields  # where a cached property keeps its value
