"""A small part of the graph as it was, folded from the log into memory for one query.

Only what the answer can touch is read: the named entities, what they were linked to, and, where the other end of a
relation wrote the links, all entities of that type. The amount is limited; beyond the limit, the error says what to ask
instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import msgspec

from pcloud.errors import Rejected
from pcloud.event import StoredEvent, encode_change
from pcloud.subject import TypeName
from projections.graph.catalog import Catalog
from projections.graph.contract import (
    Aggregate,
    Every,
    Filter,
    GraphReader,
    Has,
    HasRelated,
    IdIn,
    Invert,
    Select,
    Some,
)
from projections.graph.relation import find_relation, is_exclusive
from projections.graph.sqlite.scratch import ScratchGraph, open_scratch_graph

__all__ = ["Past", "PastBounds", "PastLog", "event_size", "ids_of", "open_past", "past_graph"]

CHUNK = 100  # subjects for one reading of the log
SMALL = 200  # bytes of an event whose change is empty
_COUNT = Aggregate("count", "count")


class PastLog(Protocol):
    """The part of `eventstore.EventStore` that is needed."""

    @property
    def epoch(self) -> str: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...


class PastBounds(NamedTuple):
    """The limits for one query: how many entities, events, and bytes of these may be read, as they are all in memory at
    once. `asked`, `instead`: the query's name in an error, and what to do instead."""

    entities: int = 1_000
    events: int = 10_000
    size: int = 32 * 2**20
    asked: str = "`asOf`"
    instead: str = "name fewer by `filter: {id: […]}` or get…, and leave out relations whose links the other end holds"


class Past:
    """A small part of the graph that can be moved forwards in time. `graph`: the state at the current point."""

    def __init__(self, graph: ScratchGraph, epoch: str, events: Sequence[StoredEvent]) -> None:
        self.graph: GraphReader = graph
        self._scratch, self._epoch, self._events, self._next = graph, epoch, events, 0

    async def go_to(self, sequence: int) -> None:
        """Go to the state after event `sequence`, the last one of a transaction."""
        start = self._next
        while self._next < len(self._events) and self._events[self._next].sequence <= sequence:
            self._next += 1
        if self._next > start:
            await self._scratch.apply(self._epoch, self._events[start : self._next])
            await self._scratch.fill_defaults()


@asynccontextmanager
async def open_past(
    log: PastLog, graph: GraphReader, selects: Sequence[Select], last: int, bounds: PastBounds | None = None
) -> AsyncGenerator[Past]:
    """A past that answers these selects at any time up to the state after event `last`; it begins before all events.
    `graph`: the current one. Raises `Rejected` if that is too much."""
    part = _Part(log, graph, last, bounds or PastBounds())
    for select in selects:
        await part.add(select, ids_of(select.filter))
    async with open_scratch_graph(part.catalog()) as found:
        yield Past(found, log.epoch, part.in_order())


@asynccontextmanager
async def past_graph(
    log: PastLog, graph: GraphReader, selects: Sequence[Select], last: int, bounds: PastBounds | None = None
) -> AsyncGenerator[GraphReader]:
    """Like `open_past`: a graph that answers these as they were after event `last`."""
    async with open_past(log, graph, selects, last, bounds) as past:
        await past.go_to(last)
        yield past.graph


def event_size(event: StoredEvent) -> int:
    """Approximately the bytes that it takes in memory."""
    return SMALL + len(encode_change(event.change)) + (len(msgspec.json.encode(event.result)) if event.result else 0)


def ids_of(filter: Filter | None) -> frozenset[str] | None:
    """The ids that a filter allows at most; None: any."""
    match filter:
        case IdIn(ids):
            return frozenset(ids)
        case Every(filters):
            known = [ids for one in filters if (ids := ids_of(one)) is not None]
            return known[0].intersection(*known) if known else None
        case Some(filters) if filters:
            found = [ids_of(one) for one in filters]
            return frozenset[str]().union(*(ids for ids in found if ids is not None)) if None not in found else None
        case _:
            return None


class _Part:
    """What has been read so far. `None` for ids stands for all entities of a type."""

    def __init__(self, log: PastLog, graph: GraphReader, last: int, bounds: PastBounds) -> None:
        self._log, self._graph, self._last, self._bounds = log, graph, last, bounds
        self._all = graph.catalog
        self._whole: set[str] = set()
        self._read: dict[str, set[str]] = {}
        self._left = bounds.size
        self.events: dict[int, StoredEvent] = {}

    def in_order(self) -> list[StoredEvent]:
        return [event for _, event in sorted(self.events.items())]

    def catalog(self) -> Catalog:
        """The types that were read, as declared today; a required field has its default where it had no value."""
        return Catalog({name: self._all.types[name] for name in {*self._read, *self._whole}})

    async def add(self, select: Select, ids: frozenset[str] | None) -> None:
        """Add what is needed to answer `select` for these entities."""
        await self._entities(select.type, ids)
        await self._filter(select.type, select.filter)
        for child in select.children:
            await self.add(child.select, await self._related(select.type, child.field))

    async def _filter(self, type: str, filter: Filter | None) -> None:
        match filter:
            case Every(filters) | Some(filters):
                for one in filters:
                    await self._filter(type, one)
            case Invert(inner):
                await self._filter(type, inner)
            case HasRelated(field, inner):
                target = find_relation(self._all, type, field).target
                await self._entities(target, await self._related(type, field))
                await self._filter(target, inner)
            case Has(field) if self._all.types[type].fields[field].is_relation:
                await self._entities(find_relation(self._all, type, field).target, await self._related(type, field))
            case _:
                pass

    async def _related(self, type: str, field: str) -> frozenset[str] | None:
        """The ids that the relation may have led to."""
        relation = find_relation(self._all, type, field)
        definition = self._all.types[relation.type].fields[relation.field]
        if not relation.forward or is_exclusive(self._all, definition) or relation.type == relation.target:
            await self._entities(relation.type, None)
        if not relation.forward or relation.type == relation.target:
            return None
        return frozenset(
            id
            for event in self.events.values()
            if str(event.ref.type_name) == type
            for id in event.change.link.get(relation.field, ())
        )

    async def _entities(self, type: str, ids: Iterable[str] | None) -> None:
        if type in self._whole:
            return
        type_name = TypeName.stored(type)
        known = self._read.setdefault(type, set())
        if ids is None:
            await self._refuse_large(type)
            self._whole.add(type)
            await self._events((type_name.subjects,))
            return
        new = sorted(set(ids) - known)
        known.update(new)
        if sum(map(len, self._read.values())) > self._bounds.entities:
            raise self._too_much(f"more than {self._bounds.entities:,} entities")
        for start in range(0, len(new), CHUNK):
            await self._events(tuple(type_name.ref(id).subject for id in new[start : start + CHUNK]))

    async def _refuse_large(self, type: str) -> None:
        counted: dict[str, Any] = await self._graph.aggregate(type, None, (_COUNT,))
        if counted["count"] > self._bounds.entities:
            raise self._too_much(f"all of {type}, of which there are more than {self._bounds.entities:,} entities")

    async def _events(self, subjects: tuple[str, ...]) -> None:
        async for event in self._log.read(1, self._last, subjects=subjects):
            if event.sequence in self.events:
                continue
            self.events[event.sequence] = event
            self._left -= event_size(event)
            if len(self.events) > self._bounds.events:
                raise self._too_much(f"more than {self._bounds.events:,} events")
            if self._left < 0:
                raise self._too_much(f"more than {self._bounds.size / 2**20:,.0f} MiB")

    def _too_much(self, what: str) -> Rejected:
        return Rejected(f"{self._bounds.asked} would read {what} of the past: {self._bounds.instead}")
