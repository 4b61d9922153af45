"""Variables are read as the library reads them: the same values in the same order, the same refusals in the same words."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, build_schema, parse
from graphql.execution.values import get_argument_values, get_variable_values

from core.graph.api.errors import BadRequest
from core.graph.api.variables import Readers, Variables, filled, variables_given

SCHEMA = build_schema(
    """
    enum Colour { RED GREEN }
    input Inner { n: Int! = 3, deep: Outer, tags: [String!], many: [[Int]] }
    input Outer { id: ID, name: String!, inner: Inner, colour: Colour = RED, flags: [Boolean], size: Float }
    input One @oneOf { a: Int, b: String }
    type Query { f(outer: [Outer!], one: One, n: Int, id: ID, colour: Colour): String }
    """
)
OPERATION = "query($outer: [Outer!]!, $one: One, $n: Int = 7, $id: ID, $colour: Colour, $names: [String]) { f }"
GOOD = [
    {"outer": []},
    {"outer": {"name": "alone"}},
    {"outer": [{"colour": "GREEN", "name": "a", "id": 5}, {"name": "b", "size": 2, "flags": [True, None]}]},
    {"outer": [{"name": "a", "inner": {"deep": {"name": "b", "inner": None}, "tags": "x", "many": [1, [2, None], None]}}]},
    {"outer": [], "one": {"a": 1}, "n": 2, "id": "x", "colour": None, "unknown": {"is": "left out"}},
    {"outer": [], "n": None, "names": ["a", None], "one": None},
]  # fmt: skip
BAD = [
    {},
    {"outer": None},
    {"outer": [None]},
    {"outer": [{}]},
    {"outer": [{"name": None}]},
    {"outer": ["text", 5]},
    {"outer": [{"name": "a", "nane": "b"}]},
    {"outer": [{"name": 5}]},
    {"outer": [{"name": "a", "colour": "BLUE", "inner": {"n": "3", "tags": [None]}}]},
    {"outer": [{"name": "a", "inner": {"n": None}}]},
    {"outer": [], "one": {"a": 1, "b": "2"}},
    {"outer": [], "one": {}},
    {"outer": [], "one": {"a": None}},
    {"outer": [], "one": {"a": 1, "b": None}},
    {"outer": [], "n": 2**40, "id": 1.5},
    {"outer": [], "n": True},
]


def variables(schema: GraphQLSchema = SCHEMA, text: str = OPERATION) -> tuple[Variables, Any]:
    node = parse(text).definitions[0]
    assert isinstance(node, OperationDefinitionNode)
    return Variables(schema, node, Readers()), lambda given: get_variable_values(
        schema, node.variable_definitions or (), given, max_errors=20
    )


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_valid_values_are_read_as_by_the_library(given: dict[str, Any]) -> None:
    ours, theirs = variables()
    for _ in range(2):  # the second time uses the cached readers
        found, wanted = ours.read(given), theirs(given)
        assert repr(found.coerced) == repr(wanted.coerced)  # the order too, and 2.0 is not 2
        assert {name: one.value for name, one in found.sources.items() if name in given} == {
            name: one.value for name, one in wanted.sources.items() if name in given
        }


def test_missing_value_is_left_out_or_defaulted() -> None:
    ours, _ = variables()
    assert ours.read({"outer": []}).coerced == {"outer": [], "n": 7}


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_readers_accept_valid_values_without_the_library(given: dict[str, Any]) -> None:
    """Otherwise each request would go to the library, and the readers would save nothing."""
    ours, _ = variables()
    assert ours._read({"n": 1, **given}) is not None


@pytest.mark.parametrize("given", BAD, ids=str)
def test_bad_values_are_refused_in_the_librarys_words(given: dict[str, Any]) -> None:
    ours, theirs = variables()
    wanted = theirs(given)
    assert isinstance(wanted, list)
    with pytest.raises(BadRequest) as refused:
        ours.read(given)
    assert [error.message for error in refused.value.errors] == [error.message for error in wanted]


def test_a_variable_of_no_input_type_is_refused() -> None:
    ours, _ = variables(text="query($q: Query) { f }")
    with pytest.raises(BadRequest, match="cannot be used as an input type"):
        ours.read({})


@pytest.mark.parametrize(
    ("arguments", "given", "quickly"),
    [
        ("", {}, True),
        ("id: $id", {"id": "x"}, True),
        ("id: $id, n: $n", {"id": "x"}, True),  # `n` by the variable's own default
        ("outer: $outer", {"outer": [{"name": "a"}]}, True),
        ("id: $id", {}, False),
        ("id: $id", {"id": None}, False),
        ("id: $id, n: 5", {"id": "x"}, False),
        ("outer: [{name: $id}]", {"id": "x"}, False),
    ],
)
def test_arguments_from_variables_are_those_of_the_library(arguments: str, given: Any, quickly: bool) -> None:
    text = OPERATION.replace("[Outer!]!", "[Outer!]").replace(
        "{ f }", f"{{ f({arguments}) }}" if arguments else "{ f }"
    )
    [node] = parse(text).definitions
    assert isinstance(node, OperationDefinitionNode)
    [field] = node.selection_set.selections
    assert isinstance(field, FieldNode) and SCHEMA.query_type
    definition, values = SCHEMA.query_type.fields["f"], Variables(SCHEMA, node, Readers()).read(given)
    found = filled(variables_given(definition, field), values)
    assert (found is not None) == quickly
    if quickly:
        assert found == get_argument_values(definition, field, values)


@pytest.mark.parametrize("arguments", ["a: $a", "b: $b", "a: $a, b: $b"])
def test_argument_with_a_default_is_left_to_the_library(arguments: str) -> None:
    schema = build_schema("type Query { f(a: Int = 1, b: Int = 2): Int }")
    [node] = parse(f"query($a: Int, $b: Int) {{ f({arguments}) }}").definitions
    assert isinstance(node, OperationDefinitionNode)
    [field] = node.selection_set.selections
    assert isinstance(field, FieldNode) and schema.query_type
    given = variables_given(schema.query_type.fields["f"], field)
    assert given is None or set(given) == {"a", "b"}
