"""What PCloud uses of graphql-core and Ariadne beyond their public API: an update that changes it fails here with a plain message."""

from __future__ import annotations

import inspect
from typing import Any

import ariadne
import graphql
import pytest
from graphql import ExecutionResult, Executor, GraphQLField, GraphQLObjectType, GraphQLString

from core.graph.schema.graphql_core import (
    VariableValueSource,
    did_you_mean,
    get_variable_signature,
    is_aborted,
    keep_fields,
    suggestion_list,
)

CHANGED = f"graphql-core {graphql.version} has changed: see core/graph/schema/graphql_core.py about"


def test_a_source_is_signature_and_value() -> None:
    assert tuple(inspect.signature(VariableValueSource).parameters)[:2] == ("signature", "value"), (
        f"{CHANGED} VariableValueSource"
    )


def test_a_signature_has_name_type_and_default() -> None:
    schema = graphql.build_schema("type Query { a(n: Int): String }")
    (operation,) = graphql.parse("query($n: Int = 3) { a }").definitions
    signature = get_variable_signature(schema, operation.variable_definitions[0])  # type: ignore[attr-defined]
    assert (signature.name, signature.type, bool(signature.default)) == ("n", graphql.GraphQLInt, True), (  # type: ignore[union-attr]
        f"{CHANGED} get_variable_signature"
    )


def test_names_are_suggested() -> None:
    assert did_you_mean(suggestion_list("titel", ["title", "width"])) == " Did you mean 'title'?", (
        f"{CHANGED} suggestions"
    )


def test_a_validation_that_takes_too_long_is_known() -> None:
    schema = graphql.build_schema("type Query { a: Query b: Int }")
    document = graphql.parse("{" + " a { b }" * 3_000 + "}")
    errors = graphql.validate(schema, document, max_errors=5)
    assert [is_aborted(error) for error in errors] == [True], f"{CHANGED} is_aborted: {errors}"
    many = graphql.validate(schema, graphql.parse("{" + " c" * 10 + "}"), max_errors=5)
    assert many and not any(map(is_aborted, many)), f"{CHANGED} is_aborted: {many}"


def test_fields_are_the_dict_that_was_kept() -> None:
    class Fields(dict[str, GraphQLField]):
        def items(self) -> Any:
            raise AssertionError(f"{CHANGED} keep_fields: all fields are made when one is read")

    type_ = GraphQLObjectType("Query", fields={})
    kept = Fields(a=GraphQLField(GraphQLString, resolve=lambda *_: "x"))
    keep_fields(type_, kept)
    assert type_.fields is kept, f"{CHANGED} keep_fields"
    assert graphql.graphql_sync(graphql.GraphQLSchema(type_, assume_valid=True), "{ a }").data == {"a": "x"}


class Ready(Executor[Any]):
    """Like the executor of `core.graph.api.execute`: without the library's own state."""

    def __init__(self, context: Any) -> None:
        self.context = context

    @classmethod
    def build(cls, *given: Any, **named: Any) -> Any:
        return cls(given[3])

    def execute_operation(self, serially: bool | None = None) -> Any:
        return ExecutionResult({"a": self.context}, None)


@pytest.mark.parametrize("document", ["{ a }", "query Q($n: Int!) { a(n: $n) }"])
async def test_an_execution_context_is_only_built_and_run(document: str) -> None:
    schema = graphql.build_schema("type Query { a(n: Int): String }")
    answer = await ariadne.graphql(schema, {"query": document}, context_value="c", execution_context_class=Ready)
    assert answer == (True, {"data": {"a": "c"}}), (
        f"Ariadne or graphql-core {graphql.version} asks more of an execution context: see core/graph/api/execute.py"
    )
