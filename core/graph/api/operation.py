"""One operation ready to run: its root fields in order, each with the plan of its selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import DocumentNode, FieldNode, GraphQLField, OperationDefinitionNode, SelectionSetNode

from core.access.caller import Caller
from core.graph.api.binder import Binder
from core.graph.api.document import Document, collect
from core.graph.api.request_limits import ApiLimits
from core.graph.api.selection import AggregatePlan, EntityPlan, Planner, Shape
from core.graph.api.served import PlatformFields, Root, Served
from core.graph.api.variables import Variables, filled, variables_given
from core.graph.schema.graphql_core import is_non_null_type, type_of
from core.graph.schema.names import small
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected

__all__ = ["HistoryPlan", "HitsPlan", "Operation", "Payload", "Request", "SearchPlan", "Step", "prepare"]


class Payload(NamedTuple):
    """A mutation's payload: its response keys with their kinds, and the plan of the entities if they are selected."""

    keys: tuple[tuple[str, str], ...]
    entities: Mapping[str, EntityPlan]


class HitsPlan(NamedTuple):
    """Objects with a `node` in them: plain keys, and for each `node`'s response key the plan per type of the view."""

    plain: Shape
    nodes: Mapping[str, Mapping[str, EntityPlan]]
    order: tuple[str, ...]


class SearchPlan(NamedTuple):
    """A search: each response key's field, and by key the plans of `hits` and `facets`."""

    fields: Mapping[str, str]
    hits: Mapping[str, HitsPlan]
    facets: Mapping[str, Mapping[str, tuple[str, Shape]]]


class HistoryPlan(NamedTuple):
    shape: Shape


Plan = EntityPlan | AggregatePlan | Payload | HitsPlan | SearchPlan | HistoryPlan


@dataclass(frozen=True, slots=True)
class Step:
    """One root field. `plan` depends on `root.kind`. The library answers a field that is not a root of the graph (`alone`: a document
    of this field alone); `typename` is the answer of `__typename`. `flat`: its value holds each thing that was read once, so the
    bound of what may be read is its bound too. `variables`: by argument, the variable that gives it; None if an argument is written
    otherwise."""

    key: str
    name: str
    fields: tuple[FieldNode, ...]
    definition: GraphQLField | None = None
    root: Root | None = None
    platform: PlatformFields | None = None
    plan: Plan | None = None
    alone: DocumentNode | None = None
    typename: str = ""
    flat: bool = False
    variables: Mapping[str, str] | None = None

    @property
    def payload(self) -> Payload:
        """The plan of a mutation's root field."""
        assert isinstance(self.plan, Payload)
        return self.plan

    @property
    def asks_apps(self) -> bool:
        """Whether it concerns more than core's own types and commands."""
        if self.root is None or self.root.kind == "revision":
            return False
        return self.root.type is None or not self.root.type.stored.startswith("core/")

    @property
    def required(self) -> bool:
        return self.definition is not None and is_non_null_type(type_of(self.definition))


@dataclass(frozen=True, slots=True)
class Operation:
    """`asks_apps`, `searches`: whether a step does."""

    node: OperationDefinitionNode
    kind: str
    steps: tuple[Step, ...]
    asks_apps: bool
    searches: bool


@dataclass(slots=True)
class Request:
    """One request while it is being answered."""

    caller: Caller
    served: Served
    document: Document
    operation: Operation
    raw_variables: Mapping[str, Any]
    binder: Binder
    headers: Mapping[str, str]

    def arguments(self, step: Step) -> dict[str, Any]:
        assert step.definition is not None
        if (found := filled(step.variables, self.binder.variables)) is not None:
            return found
        return self.binder.arguments(step.definition, step.fields[0])

    def header(self, name: str) -> str:
        return self.headers.get(name) or self.headers.get(name.lower()) or ""


def prepare(
    caller: Caller,
    served: Served,
    document: Document,
    node: OperationDefinitionNode,
    variables: Mapping[str, Any],
    headers: Mapping[str, str],
    limits: ApiLimits,
) -> Request:
    """Check the operation's variables, and make its plan or take it from the cache. Raises `Rejected` or `BadRequest`."""
    if (reader := document.variables.get(id(node))) is None:
        reader = document.variables[id(node)] = Variables(served.schema, node, served.readers)
    values = reader.read(variables)
    deciding = {one: values.coerced.get(one) for one in document.deciding}
    key = (id(node), *deciding.values())
    planner = Planner(document, served.schema, served.view, deciding)
    if (operation := document.plans.get(key)) is None:
        if len(document.plans) > 64:
            document.plans.clear()
        operation = document.plans[key] = _plan(served, document, node, planner, deciding)
    binder = Binder(served.view, values, limits)
    return Request(caller, served, document, operation, variables, binder, headers)


def _plan(
    served: Served, document: Document, node: OperationDefinitionNode, planner: Planner, deciding: Mapping[str, Any]
) -> Operation:
    root_type = served.schema.get_root_type(node.operation)
    if root_type is None:
        raise Rejected(f"this view has no {node.operation.value}s")
    steps: list[Step] = []
    for key, fields in collect(document, node.selection_set, root_type.name, deciding).items():
        name = fields[0].name.value
        if (root := served.roots.get(name)) is not None:
            plan = _root_plan(served, planner, root, fields)
            flat = isinstance(plan, EntityPlan) and plan.flat
            definition = root_type.fields[name]
            variables = variables_given(definition, fields[0])
            steps.append(Step(key, name, tuple(fields), definition, root, plan=plan, flat=flat, variables=variables))
        elif name == "__typename":
            steps.append(Step(key, name, tuple(fields), typename=root_type.name))
        else:
            definition, alone = root_type.fields.get(name), _alone(document, node, fields)
            steps.append(Step(key, name, tuple(fields), definition, platform=served.platform.get(name), alone=alone))
    asks_apps = any(step.asks_apps for step in steps)
    searches = any(step.root is not None and step.root.kind == "search" for step in steps)
    return Operation(node, node.operation.value, tuple(steps), asks_apps, searches)


def _alone(document: Document, node: OperationDefinitionNode, fields: list[FieldNode]) -> DocumentNode:
    operation = OperationDefinitionNode(
        operation=node.operation,
        variable_definitions=node.variable_definitions,
        selection_set=SelectionSetNode(selections=tuple(fields)),
    )
    return DocumentNode(definitions=(operation, *document.fragments.values()))


def _root_plan(served: Served, planner: Planner, root: Root, fields: list[FieldNode]) -> Plan | None:
    match root.kind:
        case "revision":
            return None
        case "search":
            return _search_plan(served, planner, fields)
        case "history":
            return HistoryPlan(planner.plain("HistoryEntry", fields))
        case _:
            assert root.type is not None
            return _type_plan(planner, root.kind, root.type, fields)


def _type_plan(planner: Planner, kind: str, type_: ViewType, fields: list[FieldNode]) -> Plan:
    match kind:
        case "get" | "query":
            return planner.entities(type_, fields)
        case "aggregate":
            return planner.aggregate(type_, fields)
        case "events":
            return hits_plan(planner, f"{type_.name}Event", fields, {type_.name: type_})
        case _:
            return _payload_plan(planner, f"{kind.capitalize()}{type_.name}Payload", type_, fields)


def _payload_plan(planner: Planner, payload: str, type_: ViewType, fields: list[FieldNode]) -> Payload:
    keys: list[tuple[str, str]] = []
    entities: dict[str, EntityPlan] = {}
    for key, found in planner.collect(fields, payload).items():
        name = found[0].name.value
        if name == small(type_.name):
            entities[key] = planner.entities(type_, found)
            keys.append((key, "entities"))
        else:
            keys.append((key, "count" if name == "count" else payload))
    return Payload(tuple(keys), entities)


def hits_plan(planner: Planner, type_: str, fields: list[FieldNode], types: Mapping[str, ViewType]) -> HitsPlan:
    """Plan the fields of an object that has scalars and a `node`."""
    nodes: dict[str, dict[str, EntityPlan]] = {}
    selected = planner.collect(fields, type_)
    for key, found in selected.items():
        if found[0].name.value == "node":
            nodes[key] = {name: planner.entities(one, found) for name, one in types.items()}
    return HitsPlan(planner.plain(type_, fields), nodes, tuple(selected))


def _search_plan(served: Served, planner: Planner, fields: list[FieldNode]) -> SearchPlan:
    names: dict[str, str] = {}
    hits: dict[str, HitsPlan] = {}
    facets: dict[str, dict[str, tuple[str, Shape]]] = {}
    for key, found in planner.collect(fields, "SearchResult").items():
        names[key] = found[0].name.value
        if names[key] == "hits":
            hits[key] = hits_plan(planner, "SearchHit", found, served.view.types)
        elif names[key] == "facets":
            facets[key] = {
                one: (nodes[0].name.value, planner.plain("SearchFacetCount", nodes))
                for one, nodes in planner.collect(found, "SearchFacet").items()
            }
    return SearchPlan(names, hits, facets)
