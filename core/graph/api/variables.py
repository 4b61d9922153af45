"""Reads an operation's variables by readers made once for each type; the library walks through the schema at each request.

A reader returns what the library returns, in the same order, or refuses. The library then reads the refused values and reports what is
wrong. Values come from JSON and are not nested beyond the API's bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    VariableValues,
    get_variable_values,
    is_input_object_type,
    is_required_input_field,
)

from core.graph.api.errors import BadRequest
from core.graph.schema.graphql_core import (
    VariableValueSource,
    coerce_input_literal,
    coerce_input_value,
    get_variable_signature,
    is_list_type,
    is_non_null_type,
    type_of,
)

__all__ = ["Readers", "Variables", "filled", "variables_given"]

Reader = Callable[[Any], Any]
_MOST_ERRORS = 20


class _Field(NamedTuple):
    name: str
    out_name: str
    read: Reader
    required: bool
    default: Any


class Readers:
    """Readers of one schema's input types, each made when a variable first has the type. A reader raises for a value that does not fit."""

    def __init__(self) -> None:
        self._objects: dict[str, Reader] = {}

    def of(self, type_: Any) -> Reader:
        if is_non_null_type(type_):
            return _required(self.of(type_.of_type))
        if is_list_type(type_):
            return _list(self.of(type_.of_type))
        if not is_input_object_type(type_):
            leaf = type_.coerce_input_value
            return lambda value: None if value is None else leaf(value)
        if (known := self._objects.get(type_.name)) is None:
            known = self._objects[type_.name] = self._object(type_)
        return known

    def _object(self, type_: GraphQLInputObjectType) -> Reader:
        fields: list[_Field] = []  # made with the first value: types may be recursive

        def read(value: Any) -> Any:
            if value is None:
                return None
            if not isinstance(value, dict):
                raise TypeError
            given = cast("dict[str, Any]", value)
            if not fields:
                fields.extend(self._field(name, one) for name, one in type_.fields.items())
            made: dict[str, Any] = {}
            found = 0
            for name, out_name, inner, required, default in fields:
                if name in given:
                    found += 1
                    made[out_name] = inner(given[name])
                elif required:
                    raise TypeError
                elif default is not Undefined:
                    made[out_name] = default
            if found != len(given) or (type_.is_one_of and (found != 1 or None in made.values())):
                raise TypeError
            return type_.out_type(made)

        return read

    def _field(self, name: str, one: GraphQLInputField) -> _Field:
        required = is_required_input_field(one)
        return _Field(
            name,
            one.out_name or name,
            self.of(type_of(one)),
            required,
            Undefined if required else _default(one),
        )


def _default(one: GraphQLInputField) -> Any:
    if one.default is None:
        return Undefined
    if one.default.literal is not None:
        return coerce_input_literal(one.default.literal, type_of(one))
    return coerce_input_value(one.default.value, type_of(one))


def _required(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if value is None:
            raise TypeError
        return inner(value)

    return read


def _list(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [inner(one) for one in cast("list[Any]", value)]
        return None if value is None else [inner(value)]

    return read


def variables_given(definition: GraphQLField, node: FieldNode) -> dict[str, str] | None:
    """Return, by argument, the variable that gives it; None if an argument is written otherwise, or has a default."""
    given = {one.name.value: one.value for one in node.arguments or ()}
    found: dict[str, str] = {}
    for name, argument in definition.args.items():
        value = given.get(name)
        if isinstance(value, VariableNode):
            found[argument.out_name or name] = value.name.value
        elif value is not None or argument.default is not None or argument.default_value is not Undefined:
            return None
    return found


def filled(given: Mapping[str, str] | None, values: VariableValues) -> dict[str, Any] | None:
    """Return the arguments that variables give, the usual case; None if one has no value, so that the library has to decide. The
    library takes a twentieth of a small request for it."""
    if given is None:
        return None
    found = {name: value for name, one in given.items() if (value := values.coerced.get(one)) is not None}
    return found if len(found) == len(given) else None


class Variables:
    """Reads the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, node: OperationDefinitionNode, readers: Readers) -> None:
        self._schema, self._definitions = schema, node.variable_definitions or ()
        self._known: list[tuple[Any, Reader]] = []
        for definition in self._definitions:
            signature = get_variable_signature(schema, definition)
            if not isinstance(signature, GraphQLError):
                self._known.append((signature, readers.of(type_of(signature))))

    def read(self, given: Mapping[str, Any]) -> VariableValues:
        """Raises `BadRequest`."""
        if (values := self._read(given)) is not None:
            return values
        found = get_variable_values(self._schema, self._definitions, dict(given), max_errors=_MOST_ERRORS)
        if isinstance(found, list):
            raise BadRequest(found)
        return found

    def _read(self, given: Mapping[str, Any]) -> VariableValues | None:
        """Return None if the library has to read them, for an error or a variable's own default."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        if len(self._known) != len(self._definitions):
            return None
        try:
            for signature, read in self._known:
                name = signature.name
                if name in given:
                    sources[name] = VariableValueSource(signature, given[name])
                    coerced[name] = read(given[name])
                elif signature.default is not None or is_non_null_type(type_of(signature)):
                    return None
                else:
                    sources[name] = VariableValueSource(signature)
        except Exception:
            return None
        return VariableValues(sources, coerced)
