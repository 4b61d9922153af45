"""A GraphQL schema whose types are made when they are first used.

A query uses a handful of a view's types, of which there may be thousands; making all of them takes as long as hundreds of queries. With
types made on demand, a view is swapped at the moment when its grants change. Each type is read from its text when a query first
names it. Introspection asks for all types, and takes longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from graphql import (
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLArgument,
    GraphQLDefaultInput,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    specified_scalar_types,
)

from core.graph.schema.graphql_core import keep_fields

__all__ = ["OnDemandSchema", "SchemaSource"]

V = TypeVar("V")
ROOTS = ("Query", "Mutation", "Subscription")


@dataclass(frozen=True)
class SchemaSource:
    """`types`: each type's name → function that returns definitions, its own among them. `roots`: the existing root types, each with
    its fields' definitions by name."""

    types: Mapping[str, Callable[[], Iterable[TypeDefinitionNode]]]
    roots: Mapping[str, Mapping[str, Callable[[], FieldDefinitionNode]]]


class OnDemandSchema(GraphQLSchema):
    """Holds what `source` describes. The definitions are not validated, as PCloud generates them."""

    def __init__(self, source: SchemaSource) -> None:
        super().__init__(assume_valid=True)
        self._source = source
        # Introspection runs in another thread: a type must not be made twice, as two copies are two different types.
        self._lock = threading.RLock()
        known: dict[str, GraphQLNamedType] = {**specified_scalar_types, **self.type_map}
        self.type_map = _Made([*source.roots, *source.types, *known], self._type, self._lock, known)
        self.query_type, self.mutation_type, self.subscription_type = map(self._root, ROOTS)

    def is_sub_type(self, abstract_type: Any, maybe_sub_type: Any) -> bool:
        """Compare names, so that a check of one member of a union does not make the others."""
        node = abstract_type.ast_node
        if isinstance(node, UnionTypeDefinitionNode):
            return any(one.name.value == maybe_sub_type.name for one in node.types or ())
        return super().is_sub_type(abstract_type, maybe_sub_type)

    def _root(self, name: str) -> GraphQLObjectType | None:
        return cast("GraphQLObjectType", self.type_map[name]) if name in self._source.roots else None

    def _type(self, name: str) -> GraphQLNamedType:
        if (fields := self._source.roots.get(name)) is not None:
            root = GraphQLObjectType(name, fields={})
            made = _Made(list(fields), lambda one: self._field(fields[one]()), self._lock, {})
            keep_fields(root, made)
            return root
        node = next(one for one in self._source.types[name]() if one.name.value == name)
        return self._named(node)

    def _named(self, node: TypeDefinitionNode) -> GraphQLNamedType:
        name, description = node.name.value, _text(node)
        match node:
            case ObjectTypeDefinitionNode():
                return GraphQLObjectType(
                    name, lambda: {one.name.value: self._field(one) for one in node.fields or ()}, description=description,
                    ast_node=node,
                )  # fmt: skip
            case InputObjectTypeDefinitionNode():
                return GraphQLInputObjectType(
                    name, lambda: {one.name.value: self._input_field(one) for one in node.fields or ()}, description=description,
                    ast_node=node,
                )  # fmt: skip
            case EnumTypeDefinitionNode():
                values = {
                    one.name.value: GraphQLEnumValue(one.name.value, _text(one), ast_node=one)
                    for one in node.values or ()
                }
                return GraphQLEnumType(name, values, description=description, ast_node=node)
            case UnionTypeDefinitionNode():
                members = [one.name.value for one in node.types or ()]
                return GraphQLUnionType(
                    name, lambda: [cast("GraphQLObjectType", self.type_map[one]) for one in members],
                    description=description, ast_node=node,
                )  # fmt: skip
            case ScalarTypeDefinitionNode():
                return GraphQLScalarType(name, description=description, ast_node=node)
            case _:
                raise TypeError(f"a view's schema can't contain a {node.kind}")

    def _field(self, node: FieldDefinitionNode) -> GraphQLField:
        arguments = {one.name.value: self._argument(one) for one in node.arguments or ()}
        return GraphQLField(self._of(node.type), arguments, description=_text(node), ast_node=node)

    def _argument(self, node: InputValueDefinitionNode) -> GraphQLArgument:
        return GraphQLArgument(self._of(node.type), default=_default(node), description=_text(node), ast_node=node)

    def _input_field(self, node: InputValueDefinitionNode) -> GraphQLInputField:
        return GraphQLInputField(self._of(node.type), default=_default(node), description=_text(node), ast_node=node)

    def _of(self, node: TypeNode) -> Any:
        if isinstance(node, NonNullTypeNode):
            return GraphQLNonNull(self._of(node.type))
        if isinstance(node, ListTypeNode):
            return GraphQLList(self._of(node.type))
        return self.type_map[cast("NamedTypeNode", node).name.value]


class _Made(dict[str, V], Generic[V]):
    """A dict with fixed keys whose values are made once, when first read."""

    def __init__(
        self, names: list[str], make: Callable[[str], V], lock: threading.RLock, known: Mapping[str, V]
    ) -> None:
        super().__init__(cast("dict[str, V]", dict.fromkeys(names)))
        super().update(known)
        self._make, self._lock = make, lock

    def __getitem__(self, name: str) -> V:
        value = super().__getitem__(name)
        if value is None:
            with self._lock:
                value = super().__getitem__(name)
                if value is None:
                    value = self._make(name)
                    self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - it would ask itself

    def __iter__(self) -> Iterator[str]:  # also keeps dict() and ** from copying past __getitem__
        return iter(list(super().keys()))

    def keys(self) -> Any:
        return list(super().keys())

    def values(self) -> Any:
        return [self[name] for name in self]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]


def _text(node: Any) -> str | None:
    return node.description.value if node.description else None


def _default(node: InputValueDefinitionNode) -> GraphQLDefaultInput | None:
    return GraphQLDefaultInput(literal=node.default_value) if node.default_value else None
