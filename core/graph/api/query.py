"""Answers the root fields of queries: each one is one fetch of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.graph.api.history import HistoryReader, node_history
from core.graph.api.operation import HistoryPlan, Request, SearchPlan, Step
from core.graph.api.past import PastTurns, past_position
from core.graph.api.search import search
from core.graph.api.seen import settle_versions
from core.graph.api.selection import AggregatePlan, EntityPlan
from core.graph.command import entity_id
from core.graph.schema.sdl import GROUP_UNITS
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from pcloud.revision import Revision
from pcloud.subject import check_id
from projections.graph.contract import GraphReader, Group, IdIn, Row, Select
from projections.graph.past import past_graph
from projections.search.contract import SearchIndex

__all__ = ["Queries"]

MAX_GROUPS = 1_000


class Queries:
    """Reads for callers, through their views. `log` serves histories only."""

    def __init__(self, log: HistoryReader, graph: GraphReader, index: SearchIndex | None) -> None:
        self._log, self._graph, self._index = log, graph, index
        self._past = PastTurns()

    async def answer(self, request: Request, step: Step) -> Any:
        """Return the value of one root field. Raises errors of `pcloud.errors`."""
        assert step.root is not None
        arguments = request.arguments(step)
        match step.plan:
            case EntityPlan() as plan if step.root.kind == "get":
                return await self._get(request, plan, arguments)
            case EntityPlan() as plan:
                rows = await self._fetch(request, request.binder.page(plan, arguments), arguments)
                await settle_versions(request.served.view, self._log, plan, rows)
                return [plan.shape(row) for row in rows]
            case AggregatePlan() as plan:
                return await self._aggregate(request, plan, arguments)
            case SearchPlan() as plan:
                if self._index is None:
                    raise Rejected("this node has no search index")
                return await search(request, plan, arguments, self._index, self._graph, self._log)
            case HistoryPlan(shape):
                return await node_history(
                    request.served.view, self._log, self._graph, shape, arguments, request.binder.limits.answer
                )
            case _:
                return str(Revision(self._log.epoch, self._graph.checkpoint.sequence))

    async def _get(self, request: Request, plan: EntityPlan, arguments: Mapping[str, Any]) -> Any:
        id = self.identify(plan.type, arguments)
        rows = await self._fetch(request, request.binder.exactly(plan, IdIn((id,)), 1), arguments)
        await settle_versions(request.served.view, self._log, plan, rows)
        return plan.shape(rows[0]) if rows else None

    async def _fetch(self, request: Request, select: Select, arguments: Mapping[str, Any]) -> list[Row]:
        """Read the current graph, or the graph at the time that `asOf` names."""
        if (as_of := arguments.get("asOf")) is None:
            return await self._graph.fetch(select)
        async with self._past.of(request.caller):
            last = await past_position(self._log, as_of)
            async with past_graph(self._log, self._graph, [select], last) as past:
                return await past.fetch(select)

    def identify(self, type_: ViewType, arguments: Mapping[str, Any]) -> str:
        """Return the id that `id:` or the @id field gives; both must agree."""
        if len(arguments) == 1 and (only := arguments.get("id")) is not None:
            return check_id(only)
        identity = type_.id_field
        given = {name: value for name, value in arguments.items() if value is not None and name != "asOf"}
        if not given:
            names = "`id`" + (f" or `{identity.name}`" if identity else "")
            raise Rejected(f"get{type_.name} wants {names}")
        id = check_id(given["id"]) if "id" in given else ""
        if identity is not None and identity.name in given:
            derived = entity_id(self._log.id_key, type_.stored, given[identity.name])
            if id and id != derived:
                raise Rejected(f"`id` and `{identity.name}` name different entities: give one of them")
            id = derived
        return id

    async def _aggregate(self, request: Request, plan: AggregatePlan, arguments: Mapping[str, Any]) -> Any:
        filter = request.binder.filter(plan.type, arguments.get("filter"))
        row: dict[str, Any] = {}
        if plan.aggregates:
            row.update(await self._graph.aggregate(plan.type.stored, filter, plan.aggregates))
        for key, node, definition, shape in plan.groups:
            wanted = request.binder.arguments(definition, node)
            limit = MAX_GROUPS if wanted.get("first") is None else wanted["first"]
            if not 0 < limit <= MAX_GROUPS:
                raise Rejected(f"`first` of `group` is {limit}: use 1 to {MAX_GROUPS}")
            counts = await self._graph.group(plan.type.stored, filter, _group(plan.type, wanted["by"]), limit)
            row[key] = [shape({"value": _text(value), "count": count}) for value, count in counts]
        return plan.shape(row)


def _group(type_: ViewType, by: str) -> Group:
    if (one := type_.fields.get(by)) is not None:
        return Group(one.stored)
    name, _, unit = by.rpartition("_")
    assert unit in GROUP_UNITS
    return Group(type_.fields[name].stored, unit)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
