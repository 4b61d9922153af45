"""Queries as statements, and how the records of each become the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec

from pcloud.errors import Rejected
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.graph.catalog import Catalog
from projections.graph.contract import Aggregate, EntityState, Filter, Group, KnownTransaction, ReadBudget, Row, Select
from projections.graph.fold import FORGOTTEN_RESULT
from projections.graph.neo4j.filters import Conditions
from projections.graph.neo4j.layout import Layout
from projections.graph.neo4j.names import quoted
from projections.graph.neo4j.scanning import Scan
from projections.graph.neo4j.select_statement import VALUE, AggregateColumns, Level, value_of
from projections.graph.relation import find_relation, find_scalar, find_type

__all__ = ["CypherQuery", "Meter", "aggregate", "entities", "fetch", "group", "known_transaction", "related"]

T = TypeVar("T")
Records = list[list[Any]]


class Meter:
    """An answer's share of its budget. When the query is repeated, it first returns what it took."""

    def __init__(self, budget: ReadBudget) -> None:
        self._budget, self._taken = budget, 0
        self._sized = False

    def begin(self, *, sized: bool) -> int:
        """`sized`: each record begins with its size. Returns what is left."""
        self._budget.left += self._taken
        self._taken, self._sized = 0, sized
        return self._budget.left

    def arrived(self, row: list[Any]) -> None:
        """Raises `Rejected`."""
        size = row[0] if self._sized else _size(row)
        self._taken += size
        self._budget.take(size)


@dataclass(frozen=True, slots=True)
class CypherQuery(Generic[T]):
    text: str
    parameters: Mapping[str, Any]
    answer: Callable[[Records], T]
    scans: Sequence[Scan] = ()
    meter: Meter | None = None  # called for each record as it arrives


def fetch(catalog: Catalog, layout: Layout, select: Select, meter: Meter | None = None) -> CypherQuery[list[Row]]:
    """`meter`: for the select's budget."""
    find_type(catalog, select.type)
    conditions = Conditions(catalog, layout)
    sized = meter is not None and _many_in_one(catalog, select)
    level = Level(conditions, select, sized=sized)
    text = f"{level.match(layout.labels[select.type])} WITH {level.alias}{level.page()}{level.lists} "
    left = meter.begin(sized=sized) if meter is not None else 0
    if sized:
        # If it would be too much, only its size is sent.
        too_much = f"row[0] > {conditions.bind(left)}"
        text += f"WITH {level.columns} AS row RETURN CASE WHEN {too_much} THEN [row[0]] ELSE row END"
    else:
        text += f"RETURN {level.columns}"

    def answer(records: Records) -> list[Row]:
        return [level.row(values) for (values,) in records]

    return CypherQuery(text, conditions.parameters, answer, conditions.scans, meter)


def _many_in_one(catalog: Catalog, select: Select) -> bool:
    """Return True if one record may hold many entities."""
    return any(
        not child.aggregates
        and (find_relation(catalog, select.type, child.field).many or _many_in_one(catalog, child.select))
        for child in select.children
    )


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_size, cast("list[Any]", value))) or VALUE
    return VALUE + len(value) if isinstance(value, str) else VALUE


def aggregate(
    catalog: Catalog, layout: Layout, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]
) -> CypherQuery[Row]:
    find_type(catalog, type)
    conditions = Conditions(catalog, layout)
    wanted = AggregateColumns(conditions, type, aggregates, "n")
    where = f" WHERE {conditions.write(filter, type, 'n')}" if filter is not None else ""
    text = f"MATCH (n:{layout.labels[type].name}){where} WITH {wanted.values} RETURN {wanted.names}"
    return CypherQuery(text, conditions.parameters, lambda records: wanted.row(records[0][0]), conditions.scans)


def group(
    catalog: Catalog, layout: Layout, type: str, filter: Filter | None, by: Group, limit: int
) -> CypherQuery[list[tuple[Any, int]]]:
    field = find_scalar(catalog, type, by.field)
    if field.many or (by.unit and field.kind != "DateTime"):
        raise Rejected(f"{by.field!r} of {type!r} can't be grouped by {by.unit or 'value'}")
    conditions = Conditions(catalog, layout)
    value = value_of("n", by.field)
    if by.unit:
        value = f"substring({value}, 0, {({'year': 4, 'month': 7, 'day': 10})[by.unit]})"
    where = f" WHERE {conditions.write(filter, type, 'n')}" if filter is not None else ""
    text = (
        f"MATCH (n:{layout.labels[type].name}){where} WITH {value} AS value, count(*) AS members "
        f"RETURN value, members ORDER BY value IS NULL, value DESC LIMIT {conditions.bind(limit)}"
    )
    return CypherQuery(
        text, conditions.parameters, lambda records: [(value, count) for value, count in records], conditions.scans
    )


def related(
    catalog: Catalog, layout: Layout, type: str, field: str, ids: Sequence[str]
) -> CypherQuery[dict[str, tuple[str, ...]]]:
    relation = find_relation(catalog, type, field)
    conditions = Conditions(catalog, layout)
    path = conditions.path(relation, "n", "m")
    text = (
        f"UNWIND {conditions.bind(list(dict.fromkeys(ids)))} AS id MATCH (n:{layout.labels[type].name} {{id: id}}) "
        f"RETURN id, COLLECT {{ MATCH {path} RETURN m.id ORDER BY m.id }}"
    )

    def answer(records: Records) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(ids, ()) | {id: tuple(others) for id, others in records}

    return CypherQuery(text, conditions.parameters, answer)


def known_transaction(layout: Layout, epoch: str, tx: str) -> CypherQuery[KnownTransaction | None]:
    def answer(records: Records) -> KnownTransaction | None:
        if not records:
            return None
        request, sequence, result, at = records[0]
        result = msgspec.json.decode(result)
        return KnownTransaction(request, Revision(epoch, sequence), result, at, result == FORGOTTEN_RESULT)

    text = f"MATCH (t:{layout.names.transaction} {{tx: $tx}}) RETURN t.request, t.sequence, t.result, t.time"
    return CypherQuery(text, {"tx": tx}, answer)


def entities(catalog: Catalog, layout: Layout, refs: Sequence[Ref]) -> CypherQuery[dict[Ref, EntityState]]:
    by_type: dict[tuple[str, str], list[str]] = defaultdict(list)
    for ref in refs:
        find_type(catalog, f"{ref.app}/{ref.type}")
        by_type[ref.app, ref.type].append(ref.id)
    conditions = Conditions(catalog, layout)
    gone = conditions.bind([str(ref) for ref in refs])
    parts = [
        f"MATCH (t:{layout.names.tombstone}) WHERE t.entity IN {gone} "
        "RETURN -1 AS part, t.entity AS id, t.version AS version, [] AS scalars, [] AS links"
    ]
    shapes: list[tuple[str, str, list[str], list[str]]] = []
    for (app, name), ids in by_type.items():
        fields = catalog.types[f"{app}/{name}"].fields.values()
        scalars = [field.name for field in fields if not field.is_relation and field.name != "id"]
        links = [field.name for field in fields if field.is_relation and field.written]
        parts.append(_entities(layout, f"{app}/{name}", conditions.bind(ids), len(shapes), scalars, links))
        shapes.append((app, name, scalars, links))

    def answer(records: Records) -> dict[Ref, EntityState]:
        found = {ref: EntityState(ref, 0, exists=False) for ref in refs}
        for record in records:
            part, id, version, values, others = cast("tuple[int, str, int, list[Any], list[list[str]]]", record)
            if part < 0:
                found[Ref.parse(id)] = EntityState(Ref.parse(id), version, exists=False)
                continue
            app, name, scalars, links = shapes[part]
            ref = Ref(app, name, id)
            fields = {field: value for field, value in zip(scalars, values, strict=True) if value is not None}
            linked = {field: tuple(ids) for field, ids in zip(links, others, strict=True) if ids}
            found[ref] = EntityState(ref, version, True, fields, linked)
        return found

    return CypherQuery(" UNION ALL ".join(parts), conditions.parameters, answer)


def _entities(layout: Layout, type: str, ids: str, part: int, scalars: Sequence[str], links: Sequence[str]) -> str:
    values = ", ".join(f"n.{quoted(name)}" for name in scalars)
    linked = ", ".join(
        f"COLLECT {{ MATCH (n)-[:{layout.names.relation(type, name)}]->(m) RETURN m.id ORDER BY m.id }}"
        for name in links
    )
    return (
        f"MATCH (n:{layout.labels[type].name}) WHERE n.id IN {ids} "
        f"RETURN {part} AS part, n.id AS id, n._version AS version, [{values}] AS scalars, [{linked}] AS links"
    )
