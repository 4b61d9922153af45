"""The parts of graphql-core that PCloud uses beyond the library's exports, all in this file; a test reports what an update changes.

- `VariableValueSource`, `get_variable_signature`: `core.graph.api.variables` has its own readers, in the library's form.
- `did_you_mean`, `suggestion_list`: the library's own wording of suggestions, for messages about an app's schema.
- `is_aborted`: a validation that would take too long ends with an error that only its message tells from one about too many errors.
- `keep_fields`: a type's fields are a cached property, which would copy, and so make, all of its fields.

Some of the exports have signatures that leave out what their generic types hold; they are here with whole ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import graphql
from graphql import ExecutionResult, GraphQLError, GraphQLField, GraphQLInputField, GraphQLObjectType, ValueNode
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValueSource
from graphql.pyutils import did_you_mean, suggestion_list

__all__ = [
    "VariableValueSource", "coerce_input_literal", "coerce_input_value", "did_you_mean", "execute", "execute_sync",
    "get_variable_signature", "is_aborted", "is_list_type", "is_non_null_type", "keep_fields", "suggestion_list", "type_of",
]  # fmt: skip

_library: Any = graphql
execute: Callable[..., ExecutionResult | Awaitable[ExecutionResult]] = _library.execute
execute_sync: Callable[..., ExecutionResult] = _library.execute_sync
coerce_input_literal: Callable[[ValueNode, Any], Any] = _library.coerce_input_literal
coerce_input_value: Callable[[Any, Any], Any] = _library.coerce_input_value
is_list_type: Callable[[Any], bool] = _library.is_list_type
is_non_null_type: Callable[[Any], bool] = _library.is_non_null_type


def is_aborted(error: GraphQLError) -> bool:
    """True if validation stopped because the document repeats fields too often to be checked."""
    return error.message == "Validation aborted."


def keep_fields(type_: GraphQLObjectType, fields: dict[str, GraphQLField]) -> None:
    """Make `type_.fields` return this very dict."""
    vars(type_)["fields"] = fields  # where a cached property keeps its value


def type_of(one: GraphQLField | GraphQLInputField | GraphQLVariableSignature) -> Any:
    """Return the type of a field or variable."""
    declared: Any = one
    return declared.type
