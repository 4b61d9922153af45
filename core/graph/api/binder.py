"""Fills the arguments of one request into the plans of its selections, and refuses an answer that may cost too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphql import FieldNode, GraphQLField, VariableValues, get_argument_values

from core.graph.api.request_limits import ApiLimits
from core.graph.api.selection import AggregatePlan, ChildPlan, EntityPlan
from core.graph.schema.filter import translate
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from projections.graph.contract import Aggregate, Child, Filter, Order, ReadBudget, Select

__all__ = ["Binder"]

MAX_CURSOR = 2_000
MAX_ORDER = 8
MAX_BOUND = 64  # page sizes for which a plan's children are cached


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

    def page(self, plan: EntityPlan, arguments: Mapping[str, Any], parents: int = 1) -> Select:
        """Return the select for a list with `filter`, `order`, `first`, `offset` and `after`."""
        limits = self.limits
        first, offset, after = arguments.get("first"), arguments.get("offset") or 0, arguments.get("after")
        first = limits.default_page if first is None else first
        if not 0 <= first <= limits.page:
            raise Rejected(f"`first` is {first}: ask for 0 to {limits.page} at once, and continue with `after`")
        if not 0 <= offset <= limits.offset:
            raise Rejected(f"`offset` is {offset}: use 0 to {limits.offset}, or `after`")
        if after is not None and len(after) > MAX_CURSOR:
            raise Rejected("`after` is not a cursor: send back a `_cursor` unchanged")
        return replace(
            plan.select, filter=self.filter(plan.type, arguments.get("filter")), order=self.order(plan.type, arguments.get("order")),
            first=first, offset=offset, after=after, children=self.children(plan, parents * first), budget=self.budget,
        )  # fmt: skip

    def exactly(self, plan: EntityPlan, filter: Filter, count: int) -> Select:
        """Return the select for `count` entities that `filter` names."""
        one = plan.select  # `replace` would take three times as long, and each get by id comes here
        return Select(
            one.type, one.scalars, self.children(plan, count), filter, first=count, cursor=one.cursor, version=one.version,
            budget=self.budget,
        )  # fmt: skip

    def children(self, plan: EntityPlan, parents: int) -> tuple[Child, ...]:
        self.cost += parents
        self._check_cost()
        if not plan.children:
            return ()
        if not plan.fixed:
            return tuple(self._child(child, parents) for child in plan.children)
        if (bound := plan.bound.get(parents)) is None:
            before = self.cost
            bound = tuple(self._child(child, parents) for child in plan.children), self.cost - before
            if len(plan.bound) >= MAX_BOUND:
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
        if len(given) > MAX_ORDER:
            raise Rejected(f"`order` names {len(given)} fields, {MAX_ORDER} are allowed")
        return tuple(self._order(type_, one) for one in given)

    @staticmethod
    def _order(type_: ViewType, given: Mapping[str, Any]) -> Order:
        named = [(direction, name) for direction, name in given.items() if name is not None]
        if len(named) != 1:
            raise Rejected("each entry of `order` names one field: {asc: field} or {desc: field}")
        direction, name = named[0]
        return Order("id" if name == "id" else type_.fields[name].stored, descending=direction == "desc")
