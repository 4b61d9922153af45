"""Plans a selection set: what it needs of the store, so that one root field is one fetch, and how rows become the answer's shape.

A plan is made once per document and kept; `core.graph.api.binder` fills in the arguments of one request. Fragments, aliases, @skip
and @include are resolved when the plan is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    Node,
    VariableNode,
)

from core.graph.api.document import Document, collect
from core.graph.schema.names import RESERVED_FIELDS
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewField, ViewType
from projections.graph.contract import Aggregate, Child, Row, Select

__all__ = ["AggregatePlan", "ChildPlan", "EntityPlan", "Planner", "Shape"]

Shape = Callable[[Row], dict[str, Any]]
# By the end of a field's name in an aggregate: `pagesMax`.
FUNCTIONS: Mapping[str, Literal["min", "max", "sum", "avg"]] = {"Min": "min", "Max": "max", "Sum": "sum", "Avg": "avg"}


class _Step(NamedTuple):
    """One response key: where its value is in the row, and the function that converts it (None: the value is the answer)."""

    key: str
    source: str
    make: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """What is selected from the entities of one type."""

    type: ViewType
    select: Select  # without children and page
    children: tuple[ChildPlan, ...]
    shape: Shape
    versioned: bool = False  # `_version` is selected, here or deeper
    fixed: bool = False  # no variables below, so the children are the same in each request
    bound: dict[int, tuple[tuple[Child, ...], int]] = field(
        default_factory=dict[int, Any], compare=False
    )  # those, and what they cost

    @property
    def flat(self) -> bool:
        """True if its rows are the answer: no alias or relation repeats what was read."""
        return not self.children and self.shape is _as_it_is

    @property
    def ids_alone(self) -> bool:
        """True if only the id is selected, which the caller knows without reading the entity."""
        return self.select.scalars == ("id",) and not (self.children or self.select.cursor or self.select.version)


@dataclass(frozen=True, slots=True)
class ChildPlan:
    key: str
    field: ViewField
    node: FieldNode
    definition: GraphQLField
    plan: EntityPlan | AggregatePlan


class GroupStep(NamedTuple):
    key: str
    node: FieldNode
    definition: GraphQLField
    shape: Shape


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    type: ViewType
    aggregates: tuple[Aggregate, ...]
    groups: tuple[GroupStep, ...]
    shape: Shape


def _as_it_is(row: Row) -> dict[str, Any]:
    return row


def _shape(steps: Sequence[_Step], given: Sequence[str] | None = None) -> Shape:
    """`given`: the keys of the rows, in order; if they equal the response keys, a row is the answer."""
    plain = all(step.make is None and step.key == step.source for step in steps)
    if given is not None and plain and [step.key for step in steps] == list(given):
        return _as_it_is
    if all(step.make is None for step in steps):
        pairs = [(step.key, step.source) for step in steps]
        return lambda row: {key: row.get(source) for key, source in pairs}
    return lambda row: {key: row.get(source) if make is None else make(row.get(source)) for key, source, make in steps}


def _constant(value: str) -> Callable[[Any], str]:
    return lambda _row: value


class Planner:
    """Makes plans for one document against one schema. `variables`: those that decide @skip and @include."""

    def __init__(self, document: Document, schema: GraphQLSchema, view: View, variables: Mapping[str, Any]) -> None:
        self._document, self._schema, self._view, self._variables = document, schema, view, variables

    def collect(self, nodes: Sequence[FieldNode], type_: str) -> dict[str, list[FieldNode]]:
        """Return the sub-selections of one response key's field nodes."""
        found: dict[str, list[FieldNode]] = {}
        for node in nodes:
            for key, fields in collect(self._document, node.selection_set, type_, self._variables).items():
                found.setdefault(key, []).extend(fields)
        return found

    def _definition(self, type_: str, field: str) -> GraphQLField:
        owner = self._schema.type_map[type_]
        assert isinstance(owner, GraphQLObjectType)
        return owner.fields[field]

    def entities(self, type_: ViewType, nodes: Sequence[FieldNode]) -> EntityPlan:
        """Plan entities of `type_` selected by these field nodes."""
        scalars: dict[str, None] = {}
        steps: list[_Step] = []
        children: list[ChildPlan] = []
        cursor = version = False
        for key, fields in self.collect(nodes, type_.name).items():
            name = fields[0].name.value
            if name == "__typename":
                steps.append(_Step(key, "", _constant(type_.name)))
            elif name in ("id", "_cursor", "_version"):
                cursor, version = cursor or name == "_cursor", version or name == "_version"
                steps.append(_Step(key, name, None))
            elif (one := type_.fields.get(name)) is not None and not one.is_relation:
                scalars[one.stored] = None
                steps.append(_Step(key, one.stored, None))
            else:
                # Under its own name, unless a field may have that name: then the row is the answer.
                taken = key in RESERVED_FIELDS or (key != name and key in type_.by_stored)
                child = self._child(f":{key}" if taken else key, type_, name, fields)
                children.append(child)
                steps.append(_Step(key, child.key, _make_child(child)))
        select = Select(type_.stored, scalars=("id", *scalars), cursor=cursor, version=version)
        given = [
            *dict.fromkeys(select.scalars),
            *["_version"] * version,
            *["_cursor"] * cursor,
            *(one.key for one in children),
        ]
        inner = any(isinstance(child.plan, EntityPlan) and child.plan.versioned for child in children)
        fixed = all(map(_is_fixed, children))
        return EntityPlan(type_, select, tuple(children), _shape(steps, given), version or inner, fixed)

    def _child(self, key: str, type_: ViewType, name: str, fields: list[FieldNode]) -> ChildPlan:
        definition = self._definition(type_.name, name)
        if (one := type_.fields.get(name)) is not None:
            return ChildPlan(key, one, fields[0], definition, self.entities(self._view.types[one.target], fields))
        one = next(candidate for candidate in type_.fields.values() if candidate.aggregate == name)
        return ChildPlan(key, one, fields[0], definition, self.aggregate(self._view.types[one.target], fields))

    def aggregate(self, type_: ViewType, nodes: Sequence[FieldNode]) -> AggregatePlan:
        steps: list[_Step] = []
        aggregates: list[Aggregate] = []
        groups: list[GroupStep] = []
        for key, fields in self.collect(nodes, f"{type_.name}AggregateResult").items():
            name = fields[0].name.value
            if name == "__typename":
                steps.append(_Step(key, "", _constant(f"{type_.name}AggregateResult")))
                continue
            if name == "group":
                definition = self._definition(f"{type_.name}AggregateResult", name)
                groups.append(GroupStep(key, fields[0], definition, self.plain("GroupCount", fields)))
            elif name == "count":
                aggregates.append(Aggregate(key, "count"))
            else:
                aggregates.append(Aggregate(key, FUNCTIONS[name[-3:]], type_.fields[name[:-3]].stored))
            steps.append(_Step(key, key, None))
        return AggregatePlan(type_, tuple(aggregates), tuple(groups), _shape(steps))

    def plain(self, type_: str, nodes: Sequence[FieldNode]) -> Shape:
        """Plan an object of scalars whose keys are its field names."""
        steps: list[_Step] = []
        for key, fields in self.collect(nodes, type_).items():
            name = fields[0].name.value
            steps.append(_Step(key, name, _constant(type_) if name == "__typename" else None))
        return _shape(steps)


def _is_fixed(child: ChildPlan) -> bool:
    arguments = child.node.arguments or ()
    return not any(map(_has_variable, arguments)) and (not isinstance(child.plan, EntityPlan) or child.plan.fixed)


def _has_variable(node: object) -> bool:
    if isinstance(node, list | tuple):
        return any(map(_has_variable, cast("Sequence[object]", node)))
    return isinstance(node, VariableNode) or (
        isinstance(node, Node) and any(_has_variable(getattr(node, key, None)) for key in node.keys)
    )


def _make_child(child: ChildPlan) -> Callable[[Any], Any] | None:
    shape = child.plan.shape
    if shape is _as_it_is:
        return None
    if isinstance(child.plan, EntityPlan) and child.field.definition.many:
        return lambda rows: [shape(row) for row in rows or ()]
    return lambda row: None if row is None else shape(row)
