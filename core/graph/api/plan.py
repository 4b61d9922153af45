"""Turns a selection set into the store's `Select`, so that one root field is one fetch, and turns rows into the answer's shape.

A plan is made once per document and kept; `bind` fills in the arguments of one request. Fragments, aliases, @skip and @include are
resolved when the plan is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    Node,
    VariableNode,
    VariableValues,
    get_argument_values,
)

from core.graph.api.document import Document, collect
from core.graph.api.limits import ApiLimits
from core.graph.schema.filter import translate
from core.graph.schema.names import RESERVED_FIELDS
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewField, ViewType
from pcloud.errors import Rejected
from projections.graph.port import Aggregate, Child, Filter, Order, ReadBudget, Row, Select

__all__ = ["AggregatePlan", "Binder", "NodePlan", "Planner"]

Shape = Callable[[Row], dict[str, Any]]
_MAX_CURSOR = 2_000
_MAX_ORDER = 8
_MAX_BOUND = 64  # page sizes for which a plan's children are cached


class _Step(NamedTuple):
    """One response key: where its value is in the row, and the function that converts it (None: the value is the answer)."""

    key: str
    source: str
    make: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class NodePlan:
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
    plan: NodePlan | AggregatePlan


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

    def nodes(self, type_: ViewType, nodes: Sequence[FieldNode]) -> NodePlan:
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
        inner = any(isinstance(child.plan, NodePlan) and child.plan.versioned for child in children)
        fixed = all(map(_is_fixed, children))
        return NodePlan(type_, select, tuple(children), _shape(steps, given), version or inner, fixed)

    def _child(self, key: str, type_: ViewType, name: str, fields: list[FieldNode]) -> ChildPlan:
        definition = self._definition(type_.name, name)
        if (one := type_.fields.get(name)) is not None:
            return ChildPlan(key, one, fields[0], definition, self.nodes(self._view.types[one.target], fields))
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
                function = name[-3:].lower()
                aggregates.append(Aggregate(key, function, type_.fields[name[:-3]].stored))  # type: ignore[arg-type]
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
    return not any(map(_has_variable, arguments)) and (not isinstance(child.plan, NodePlan) or child.plan.fixed)


def _has_variable(node: Node) -> bool:
    return isinstance(node, VariableNode) or any(
        _has_variable(inner)
        for key in node.keys
        for value in (getattr(node, key, None),)
        for inner in (value if isinstance(value, list | tuple) else (value,))
        if isinstance(inner, Node)
    )


def _make_child(child: ChildPlan) -> Callable[[Any], Any] | None:
    shape = child.plan.shape
    if shape is _as_it_is:
        return None
    if isinstance(child.plan, NodePlan) and child.field.definition.many:
        return lambda rows: [shape(row) for row in rows or ()]
    return lambda row: None if row is None else shape(row)


class Binder:
    """The arguments of one request: fills them into plans and counts what the answer may cost."""

    def __init__(self, view: View, variables: VariableValues, limits: ApiLimits) -> None:
        self.view, self.variables, self.limits = view, variables, limits
        self.begin()

    def begin(self) -> None:
        """Start counting again, for another answer."""
        self.cost, self.budget = 0, ReadBudget(self.limits.answer)

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        return get_argument_values(definition, node, self.variables) if node.arguments else {}

    def page(self, plan: NodePlan, arguments: Mapping[str, Any], parents: int = 1) -> Select:
        """Return the select for a list with `filter`, `order`, `first`, `offset` and `after`."""
        limits = self.limits
        first, offset, after = arguments.get("first"), arguments.get("offset") or 0, arguments.get("after")
        first = limits.default_page if first is None else first
        if not 0 <= first <= limits.page:
            raise Rejected(f"`first` is {first}: ask for 0 to {limits.page} at once, and continue with `after`")
        if not 0 <= offset <= limits.offset:
            raise Rejected(f"`offset` is {offset}: use 0 to {limits.offset}, or `after`")
        if after is not None and len(after) > _MAX_CURSOR:
            raise Rejected("`after` is not a cursor: send back a `_cursor` unchanged")
        return replace(
            plan.select, filter=self.filter(plan.type, arguments.get("filter")), order=self.order(plan.type, arguments.get("order")),
            first=first, offset=offset, after=after, children=self.children(plan, parents * first), budget=self.budget,
        )  # fmt: skip

    def exactly(self, plan: NodePlan, filter: Filter, count: int) -> Select:
        """Return the select for `count` entities that `filter` names."""
        one = plan.select  # `replace` would take three times as long, and each get by id comes here
        return Select(
            one.type, one.scalars, self.children(plan, count), filter, first=count, cursor=one.cursor, version=one.version,
            budget=self.budget,
        )  # fmt: skip

    def children(self, plan: NodePlan, parents: int) -> tuple[Child, ...]:
        self.cost += parents
        self._check_cost()
        if not plan.children:
            return ()
        if not plan.fixed:
            return tuple(self._child(child, parents) for child in plan.children)
        if (bound := plan.bound.get(parents)) is None:
            before = self.cost
            bound = tuple(self._child(child, parents) for child in plan.children), self.cost - before
            if len(plan.bound) >= _MAX_BOUND:
                plan.bound.clear()
            plan.bound[parents] = bound
            return bound[0]
        self.cost += bound[1]
        self._check_cost()
        return bound[0]

    def _check_cost(self) -> None:
        if self.cost > self.limits.cost:
            raise Rejected(
                f"the query may touch more than {self.limits.cost} entities: ask for smaller pages (`first`) or fewer levels"
            )

    def _child(self, child: ChildPlan, parents: int) -> Child:
        arguments = self.arguments(child.definition, child.node)
        if isinstance(child.plan, AggregatePlan):
            if child.plan.groups:
                raise Rejected(
                    f"`group` is allowed in aggregate{child.plan.type.name} alone: ask for it there, with a filter"
                )
            self.cost += parents
            filter = self.filter(child.plan.type, arguments.get("filter"))
            aggregates = child.plan.aggregates or (Aggregate("_count", "count"),)
            return Child(child.key, child.field.stored, Select(child.plan.type.stored, filter=filter), aggregates)
        if not child.field.definition.many:
            select = replace(child.plan.select, children=self.children(child.plan, parents))
            return Child(child.key, child.field.stored, select)
        return Child(child.key, child.field.stored, self.page(child.plan, arguments, parents))

    def filter(self, type_: ViewType, where: Mapping[str, Any] | None) -> Filter | None:
        return translate(self.view.types, type_, where) if where else None

    def order(self, type_: ViewType, given: Sequence[Mapping[str, Any]] | None) -> tuple[Order, ...]:
        if not given:
            return ()
        if len(given) > _MAX_ORDER:
            raise Rejected(f"`order` names {len(given)} fields, {_MAX_ORDER} are allowed")
        return tuple(self._order(type_, one) for one in given)

    @staticmethod
    def _order(type_: ViewType, given: Mapping[str, Any]) -> Order:
        named = [(direction, name) for direction, name in given.items() if name is not None]
        if len(named) != 1:
            raise Rejected("each entry of `order` names one field: {asc: field} or {desc: field}")
        direction, name = named[0]
        return Order("id" if name == "id" else type_.fields[name].stored, descending=direction == "desc")
