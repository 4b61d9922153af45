"""Plans how an entity is forgotten: the event that names what is purged, and the sequence up to which events are then purged.

The number of events that one event can name is limited. If there are more, several `forgotten` events follow each other, and the events
that they name are purged below the first. A `forgotten` event may be purged itself, if the entity was made and forgotten again: the new
one then names what it named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pcloud.event import Change, Event, Kind, Purged, StoredEvent
from pcloud.subject import Ref
from projections.graph.contract import Child, GraphReader, HasRelated, IdIn, Select
from projections.graph.relation import is_exclusive

__all__ = ["MOST_NAMED", "PurgePlan", "Tellers", "plan_purge"]

MOST_NAMED = 2_000  # events that one event names; 80 bytes each, and another 80 for their transactions


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """`event`: the next event to append before everything is forgotten; None: nothing (more). `below`: events below this sequence may be
    purged now; 0: none. `begun_by`: the actor, if a `forgotten` event is the newest and more have to follow. `complete`: once `event`
    is stored, all events are named; then those below it are purged, or those below `after`, the first of the events that it continues."""

    ref: Ref
    event: Event | None = None
    below: int = 0
    begun_by: str = ""
    complete: bool = False
    after: int = 0


class Tellers:
    """The graph's knowledge about the transactions and links of purged events."""

    def __init__(self, graph: GraphReader) -> None:
        self._graph = graph

    async def transactions(self, events: Iterable[StoredEvent]) -> list[tuple[str, str, int, float]]:
        """Return what a later projection needs to know of these events' transactions, without those that the graph no longer remembers."""
        found: dict[str, tuple[str, str, int, float]] = {}
        for event in events:
            if event.change.purged is not None:
                found.update((one[0], one) for one in event.change.purged.transactions)
            if event.tx not in found and (known := await self._graph.transaction(event.tx)) is not None:
                found[event.tx] = (event.tx, known.request, known.revision.sequence, known.time)
        return list(found.values())

    async def released(self, ref: Ref, events: Iterable[StoredEvent], going: Collection[Ref]) -> dict[str, list[str]]:
        """Return, by one-to-one field, the ids that these events took from others and that are free now, apart from those `going` too."""
        type_ = self._graph.catalog.types.get(str(ref.type_name))
        wanted: dict[str, dict[str, None]] = {}
        for event in events:
            earlier = event.change.purged.released if event.change.purged is not None else {}
            for name, targets in (*event.change.link.items(), *earlier.items()):
                one = type_.fields.get(name) if type_ is not None else None
                if one is not None and is_exclusive(self._graph.catalog, one):
                    wanted.setdefault(name, {}).update(dict.fromkeys(targets))
        for name, targets in wanted.items():
            for holder, target in await self._holders(str(ref.type_name), name, list(targets)):
                if Ref(ref.app, ref.type, holder) not in going:
                    targets.pop(target, None)
        return {name: list(targets) for name, targets in wanted.items() if targets}

    async def _holders(self, type_: str, field: str, targets: list[str]) -> list[tuple[str, str]]:
        target_type = self._graph.catalog.types[type_].fields[field].target
        found: list[tuple[str, str]] = []
        for start in range(0, len(targets), 500):
            held = HasRelated(field, IdIn(tuple(targets[start : start + 500])))
            child = Child("held", field, Select(target_type, ("id",)))
            rows = await self._graph.fetch(Select(type_, ("id",), children=(child,), filter=held), patient=True)
            found += ((row["id"], row["held"]["id"]) for row in rows)
        return found


async def plan_purge(ref: Ref, events: Sequence[StoredEvent], tellers: Tellers, going: Collection[Ref]) -> PurgePlan:
    """`events`: everything that the log has about the entity, oldest first; the graph has folded them."""
    end = max((place for place, event in enumerate(events, 1) if event.kind is Kind.FORGOTTEN), default=0)
    start = end
    while start and events[start - 1].kind is Kind.FORGOTTEN:
        start -= 1
    older, last, newer = events[:start], events[start:end], events[end:]
    named = {sequence for event in last for sequence, _ in _named(event)}
    unnamed = [event for event in older if event.sequence not in named]
    below = last[0].sequence if older and not unnamed else 0
    open_ = events if newer else unnamed
    if not open_:
        return PurgePlan(ref, below=below)
    now: list[StoredEvent] = []
    digests: dict[int, str] = {}
    for event in open_:
        now.append(event)
        digests.update(_named(event))
        digests[event.sequence] = f"{event.digest:064x}"
        if len(digests) >= MOST_NAMED:
            break
    purged = Purged(
        sorted(digests.items()),
        await tellers.transactions(now),
        await tellers.released(ref, now, going),
        _written(events, now),
    )
    event = Event(ref, Kind.FORGOTTEN, Change(purged=purged), events[-1].sequence)
    begun = "" if newer or not last else last[-1].actor
    return PurgePlan(ref, event, below, begun, len(now) == len(open_), last[0].sequence if begun else 0)


def _named(event: StoredEvent) -> list[tuple[int, str]]:
    return event.change.purged.events if event.change.purged is not None else []


def _written(events: Sequence[StoredEvent], now: Iterable[StoredEvent]) -> dict[str, list[tuple[int, int]]]:
    """Return what these events give back to apps' quotas, without what an earlier `forgotten` event has given back."""
    purged = [event.change.purged for event in events if event.change.purged is not None]
    given = {sequence for one in purged for each in one.written.values() for sequence, _ in each}
    found: dict[str, list[tuple[int, int]]] = {}
    for event in now:
        if event.charged and event.sequence not in given and event.kind is not Kind.FORGOTTEN:
            found.setdefault(event.charged, []).append((event.sequence, event.size))
    return found
