"""The model's answers, found by looking at every entity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any, cast

from pcloud.errors import Rejected
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.graph.catalog import FieldDef
from projections.graph.contract import (
    Aggregate,
    Child,
    Compare,
    EntityState,
    Every,
    Filter,
    Group,
    Has,
    HasRelated,
    IdIn,
    Invert,
    KnownTransaction,
    Order,
    Row,
    Select,
    Some,
)  # fmt: skip
from projections.graph.cursor import decode_cursor, encode_cursor, sort_keys, window
from projections.graph.fold import FORGOTTEN_RESULT, Entity
from projections.graph.model.state import ModelState
from projections.graph.relation import find_field, find_relation, find_scalar, find_type
from projections.graph.values import check_operand, compile_pattern, terms

__all__ = ["ModelGraph"]


def _size(value: Any) -> int:
    if isinstance(value, list | dict):
        inner = cast("list[Any]", value) if isinstance(value, list) else cast("dict[str, Any]", value).values()
        return sum(map(_size, inner))
    return 16 + len(value) if isinstance(value, str) else 16


class ModelGraph(ModelState):
    """The contract `GraphStore`."""

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        find_type(self.catalog, select.type)
        rows = self._rows(select, [entity for entity in self._fields if entity.type == select.type])
        if select.budget is not None:
            select.budget.take(_size(rows))
        return rows

    def _rows(self, select: Select, entities: Iterable[Entity]) -> list[Row]:
        passing = self._passes(select.filter, select.type)
        keys = sort_keys(self.catalog, select)
        compare = _comparison(keys)
        found = sorted(
            ((self._sort_values(keys, entity), entity) for entity in entities if passing(entity)),
            key=cmp_to_key(lambda one, other: compare(one[0], other[0])),
        )
        if select.after is not None:
            at = decode_cursor(keys, select.after)
            found = [item for item in found if compare(item[0], at) > 0]
        first, offset = window(select)
        page = found[offset:] if first is None else found[offset : offset + first]
        for name in select.scalars:
            find_scalar(self.catalog, select.type, name)
        for child in select.children:
            self._check_child(select, child)
        return [self._row(select, keys, values, entity) for values, entity in page]

    def _row(self, select: Select, keys: Sequence[Order], values: list[Any], entity: Entity) -> Row:
        row: Row = {name: self._value(entity, name) for name in select.scalars}
        if select.version:
            row["_version"] = self._versions[entity]
        if select.cursor:
            row["_cursor"] = encode_cursor(keys, values)
        for child in select.children:
            others = self._others(entity, child.field)
            if child.aggregates:
                passing = self._passes(child.select.filter, child.select.type)
                counted = [other for other in others if passing(other)]
                row[child.key] = self._aggregate(child.select.type, counted, child.aggregates)
                continue
            children = self._rows(child.select, others)
            many = find_relation(self.catalog, select.type, child.field).many
            row[child.key] = children if many else next(iter(children), None)
        return row

    def _check_child(self, select: Select, child: Child) -> None:
        relation = find_relation(self.catalog, select.type, child.field)
        if child.select.type != relation.target:
            raise Rejected(f"{child.field!r} of {select.type!r} gives {relation.target!r}, not {child.select.type!r}")
        self._rows(child.select, [])

    def _value(self, entity: Entity, name: str) -> Any:
        return entity.id if name == "id" else self._fields[entity].get(name)

    def _sort_values(self, keys: Sequence[Order], entity: Entity) -> list[Any]:
        return [self._value(entity, key.field) for key in keys]

    def _others(self, entity: Entity, field: str) -> list[Entity]:
        relation = find_relation(self.catalog, entity.type, field)
        if relation.forward:
            found = [link[2] for link in self._links if link[:2] == (entity, relation.field)]
        else:
            found = [
                link[0]
                for link in self._links
                if link[1:] == (relation.field, entity) and link[0].type == relation.type
            ]
        return sorted(found)

    def _passes(self, filter: Filter | None, type: str) -> Callable[[Entity], bool]:
        match filter:
            case None:
                return lambda _: True
            case Compare():
                field = find_scalar(self.catalog, type, filter.field)
                operand = check_operand(field, filter)
                return lambda entity: _compares(field, filter.operator, operand, self._value(entity, filter.field))
            case IdIn(ids):
                return lambda entity: entity.id in ids
            case Has(name):
                if name == "id" or not find_field(self.catalog, type, name).is_relation:
                    return lambda entity: self._value(entity, name) not in (None, [])
                find_relation(self.catalog, type, name)
                return lambda entity: bool(self._others(entity, name))
            case HasRelated(name, inner):
                passing = self._passes(inner, find_relation(self.catalog, type, name).target)
                return lambda entity: any(passing(other) for other in self._others(entity, name))
            case Every(filters):
                every = [self._passes(one, type) for one in filters]
                return lambda entity: all(passing(entity) for passing in every)
            case Some(filters):
                some = [self._passes(one, type) for one in filters]
                return lambda entity: any(passing(entity) for passing in some)
            case Invert(inner):
                inverted = self._passes(inner, type)
                return lambda entity: not inverted(entity)

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        find_relation(self.catalog, type, field)
        return {id: tuple(other.id for other in self._others(Entity(type, id), field)) for id in ids}

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        find_type(self.catalog, type)
        passing = self._passes(filter, type)
        return self._aggregate(
            type, [entity for entity in self._fields if entity.type == type and passing(entity)], aggregates
        )

    def _aggregate(self, type: str, entities: Sequence[Entity], aggregates: Sequence[Aggregate]) -> Row:
        row: Row = {}
        for one in aggregates:
            if one.function == "count" and not one.field:
                row[one.key] = len(entities)
                continue
            field = find_scalar(self.catalog, type, one.field)
            if field.many or (one.function in ("sum", "avg") and field.kind not in ("Int", "Int64", "Float")):
                raise Rejected(f"{one.field!r} of {type!r} has no {one.function}")
            values = [value for entity in entities if (value := self._value(entity, one.field)) is not None]
            row[one.key] = _FUNCTIONS[one.function](values) if values or one.function == "count" else None
        return row

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        field = find_scalar(self.catalog, type, by.field)
        if field.many or (by.unit and field.kind != "DateTime"):
            raise Rejected(f"{by.field!r} of {type!r} can't be grouped by {by.unit or 'value'}")
        passing = self._passes(filter, type)
        counts: dict[Any, int] = defaultdict(int)
        for entity in self._fields:
            if entity.type == type and passing(entity):
                value = self._value(entity, by.field)
                counts[value[: {"year": 4, "month": 7, "day": 10}[by.unit]] if by.unit and value else value] += 1
        known = sorted((item for item in counts.items() if item[0] is not None), reverse=True)
        return [*known, *((None, counts[None]) for _ in range(None in counts))][:limit]

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        return {ref: self._node(ref) for ref in refs}

    def _node(self, ref: Ref) -> EntityState:
        type_ = find_type(self.catalog, f"{ref.app}/{ref.type}")
        entity = Entity(type_.name, ref.id)
        version = self._versions.get(entity, 0)
        if entity not in self._fields:
            return EntityState(ref, version, exists=False)
        fields = {name: value for name, value in self._fields[entity].items() if name in type_.fields}
        links = {name: ids for name, ids in self._links_of(entity).items() if name in type_.fields}
        return EntityState(ref, version, True, fields, links)

    def _links_of(self, entity: Entity) -> dict[str, tuple[str, ...]]:
        links: dict[str, tuple[str, ...]] = {}
        for _, name, target in sorted(link for link in self._links if link[0] == entity):
            links[name] = (*links.get(name, ()), target.id)
        return links

    async def transaction(self, tx: str) -> KnownTransaction | None:
        known = self._transactions.get(tx)
        if known is None:
            return None
        revision = Revision(self.checkpoint.epoch, known.sequence)
        return KnownTransaction(known.request, revision, known.result, known.time, known.result == FORGOTTEN_RESULT)

    async def dump(self) -> Mapping[str, Any]:
        return {
            "checkpoint": [self.checkpoint.epoch, self.checkpoint.sequence, f"{self.checkpoint.hash:x}"],
            "catalog": self.catalog.to_json(),
            "entities": {
                f"{entity.type}/{entity.id}": {
                    "version": self._versions[entity],
                    "fields": self._fields[entity],
                    "links": {name: list(ids) for name, ids in self._links_of(entity).items()},
                }
                for entity in sorted(self._fields)
            },
            "tombstones": {
                f"{entity.type}/{entity.id}": version
                for entity, version in sorted(self._versions.items())
                if entity not in self._fields
            },
            "transactions": {
                tx: [known.request, known.sequence, dict(known.result)]
                for tx, known in sorted(self._transactions.items())
            },
        }

    async def close(self) -> None:
        """Does nothing: there is nothing to release."""


_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "min": min,
    "max": max,
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
}


def _comparison(keys: Sequence[Order]) -> Callable[[Sequence[Any], Sequence[Any]], int]:
    """Negative, 0 or positive if the first comes before, with or after the second; missing values come last."""

    def compare(one: Sequence[Any], other: Sequence[Any]) -> int:
        for key, mine, yours in zip(keys, one, other, strict=True):
            if mine == yours:
                continue
            if mine is None or yours is None:
                return 1 if mine is None else -1
            return -1 if (mine > yours) == key.descending else 1
        return 0

    return compare


def _compares(field: FieldDef, operator: str, operand: Any, value: Any) -> bool:
    if operator == "eq" and operand is None:
        return value in (None, [])
    members = (value or []) if field.many else [] if value is None else [value]
    test = _TESTS[operator]
    return any(test(member, operand) for member in members)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, operand: value == operand,
    "in": lambda value, operand: value in operand,
    "between": lambda value, operand: operand[0] <= value <= operand[1],
    "ge": lambda value, operand: value >= operand,
    "gt": lambda value, operand: value > operand,
    "le": lambda value, operand: value <= operand,
    "lt": lambda value, operand: value < operand,
    "anyofterms": lambda value, operand: not terms(value).isdisjoint(operand),
    "allofterms": lambda value, operand: bool(operand) and terms(value) >= set(operand),
    "regexp": lambda value, operand: compile_pattern(operand).search(value) is not None,
}
