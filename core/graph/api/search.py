"""`search`: translates the view's names, asks the index for the view's fields, and resolves the hits through the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.graph.api.history import HistoryReader
from core.graph.api.operation import HitsPlan, Request, SearchPlan
from core.graph.api.seen import settle_versions
from core.graph.api.selection import Shape
from core.graph.schema.scalar import canonical
from core.graph.schema.searchable import search_names
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from projections.graph.catalog import FieldDef
from projections.graph.contract import GraphReader, IdIn
from projections.search.contract import Hit, Range, SearchIndex, SearchQuery, SearchResult
from projections.search.searched_fields import UNITS

__all__ = ["search"]

MAX_TEXT = 1_000
MAX_NARROWINGS = 50


async def search(
    request: Request,
    plan: SearchPlan,
    arguments: Mapping[str, Any],
    index: SearchIndex,
    graph: GraphReader,
    log: HistoryReader,
) -> dict[str, Any]:
    """Return the answer's `SearchResult` in the shape of `plan`."""
    names = _Names(request.served.view, arguments.get("types"))
    query = _query(request, names, arguments)
    result = await index.search(query) if query.types else SearchResult(0, (), {})
    answer: dict[str, Any] = {}
    for key, name in plan.fields.items():
        if name == "hits":
            answer[key] = await _hits(request, plan.hits[key], result.hits, graph, log)
        elif name == "facets":
            answer[key] = [_facet(plan.facets[key], one, result, names) for one in arguments.get("count") or ()]
        else:
            answer[key] = result.total if name == "total" else "SearchResult"
    return answer


def _query(request: Request, names: _Names, arguments: Mapping[str, Any]) -> SearchQuery:
    text, limits = arguments["text"], request.binder.limits
    first = 50 if arguments.get("first") is None else arguments["first"]
    offset = arguments.get("offset") or 0
    if len(text) > MAX_TEXT:
        raise Rejected(f"the text to search has {len(text)} characters, {MAX_TEXT} are allowed")
    if not 0 <= first <= limits.page or not 0 <= offset <= limits.offset:
        raise Rejected(f"`first` is {first} and `offset` {offset}: use 0 to {limits.page} and 0 to {limits.offset}")
    narrow: Mapping[str, Sequence[Any]] = arguments.get("filter") or {}
    facets, ranges = narrow.get("facets") or (), narrow.get("ranges") or ()
    count: Sequence[str] = arguments.get("count") or ()
    if max(len(facets), len(ranges), len(count)) > MAX_NARROWINGS:
        raise Rejected(f"more than {MAX_NARROWINGS} facets or ranges: narrow by fewer fields")
    order = arguments.get("order")
    return SearchQuery(
        text=text,
        types=names.types,
        facets={names.facet(one["field"]): tuple(one["values"]) for one in facets},
        ranges={names.stored(one["field"]): names.range(one) for one in ranges},
        count=tuple(names.facet(one) for one in count),
        first=first,
        offset=offset,
        order=names.stored(order) if order else "",
    )


class _Names:
    """The searchable fields of the requested types, by their names in the view."""

    def __init__(self, view: View, types: Sequence[str] | None) -> None:
        self._view = view
        self._chosen = [view.type(name) for name in types] if types else list(view.types.values())
        searchable = view.searchable()
        self.types = {one.stored: searchable[one.stored] for one in self._chosen if one.stored in searchable}
        self._by_type = {one.name: search_names(view.types, one) for one in self._chosen}

    def stored(self, name: str) -> str:
        """Raises `Rejected` for an unknown name, or a name that means different fields in different types."""
        found = {stored for _, stored in self._found(name)}
        if len(found) == 1:
            return found.pop()
        if found:
            owners = ", ".join(f"{type_}.{name}" for type_ in self._by_type if name in self._by_type[type_])
            raise Rejected(f"{name!r} means different fields: write one of {owners}")
        there = sorted({one for names in self._by_type.values() for one in names})
        raise Rejected(f"there is no searchable field {name!r}: use one of {', '.join(there)}")

    def facet(self, name: str) -> str:
        """Return the facet to count and narrow by: a field, or a time's year, month or day, such as `takenAt_year`."""
        stem, _, unit = name.rpartition("_")
        if unit in UNITS and self._found(stem) and self._definition(stem).kind == "DateTime":
            return f"{self.stored(stem)}_{unit}"
        return self.stored(name)

    def _found(self, name: str) -> list[tuple[str, str]]:
        plain = [(type_, names[name]) for type_, names in self._by_type.items() if name in names]
        if plain:
            return plain
        prefix, _, rest = name.partition(".")
        names = self._by_type.get(prefix, {})
        return [(prefix, names[rest])] if rest in names else []

    def range(self, given: Mapping[str, Any]) -> Range:
        definition = self._definition(given["field"])
        if definition.kind not in ("Int", "Int64", "Float", "DateTime"):
            raise Rejected(f"{given['field']!r} is neither a number nor a time: narrow it by `facets`")
        low, high = (
            None
            if (value := given.get(end)) is None
            else canonical(definition.kind, value, place=f"{given['field']}.{end}")
            for end in ("low", "high")
        )
        return Range(low, high)

    def _definition(self, name: str) -> FieldDef:
        self.stored(name)  # refuses unknown names
        type_name, stored = self._found(name)[0]
        parent, dot, child = stored.partition(".")
        type_: ViewType = self._view.types[type_name]
        one = type_.by_stored[parent]
        return self._view.types[one.target].by_stored[child].definition if dot else one.definition


def _facet(inner: Mapping[str, tuple[str, Shape]], name: str, result: SearchResult, names: _Names) -> dict[str, Any]:
    counts = result.facets.get(names.facet(name), ())
    answer: dict[str, Any] = {}
    for key, (what, shape) in inner.items():
        if what == "values":
            answer[key] = [shape({"value": one.value, "count": one.count}) for one in counts]
        else:
            answer[key] = name if what == "field" else "SearchFacet"
    return answer


async def _hits(
    request: Request, plan: HitsPlan, hits: Sequence[Hit], graph: GraphReader, log: HistoryReader
) -> list[dict[str, Any]]:
    view = request.served.view
    by_type: dict[str, list[str]] = {}
    for hit in hits:
        by_type.setdefault(view.by_stored[str(hit.ref.type_name)].name, []).append(hit.ref.id)
    nodes: dict[tuple[str, str, str], dict[str, Any]] = {}
    for key, plans in plan.nodes.items():
        for type_, ids in by_type.items():
            entity_plan = plans[type_]
            rows = await graph.fetch(request.binder.exactly(entity_plan, IdIn(tuple(ids)), len(ids)))
            await settle_versions(view, log, entity_plan, rows)
            for row in rows:
                nodes[key, type_, row["id"]] = entity_plan.shape(row)
    return [_hit(view, plan, hit, nodes) for hit in hits]


def _hit(view: View, plan: HitsPlan, hit: Hit, nodes: Mapping[tuple[str, str, str], dict[str, Any]]) -> dict[str, Any]:
    type_ = view.by_stored[str(hit.ref.type_name)].name
    answer = plan.plain({"type": type_, "id": hit.ref.id, "score": hit.score})
    for key in plan.nodes:
        answer[key] = nodes.get((key, type_, hit.ref.id))
    return answer
