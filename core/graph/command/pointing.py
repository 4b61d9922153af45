"""Which entities point to one by a relation that the other end writes: now, by the graph, and at a past event, by the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.graph.command.protocols import ReadableLog
from pcloud.errors import Rejected
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref, TypeName
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.contract import GraphReader, HasRelated, IdIn, Select
from projections.graph.relation import is_exclusive, is_symmetric

__all__ = ["links_at", "pointing_now"]

FEW = 10
MOST_READ = 1_000_000  # events: half a minute
CHUNK = 100


async def pointing_now(graph: GraphReader, ref: Ref) -> list[tuple[Ref, str]]:
    """Return some of the entities that are linked to this one, and by which field."""
    found: list[tuple[Ref, str]] = []
    for type_, one in _relations_to(graph.catalog, str(ref.type_name)):
        rows = await graph.fetch(Select(type_, ("id",), filter=HasRelated(one.name, IdIn((ref.id,))), first=FEW))
        found += [(TypeName.stored(type_).ref(row["id"]), one.name) for row in rows]
    return found


async def links_at(
    log: ReadableLog, catalog: Catalog, refs: Sequence[Ref], last: int
) -> dict[tuple[Ref, str], list[str]]:
    """Return the links to these entities that existed after event `last`: (source, field) → ids.

    An entity can't be linked to before it was made, so events are read from the oldest one's creation. Raises `Rejected` if those are
    more than `MOST_READ`.
    """
    left = MOST_READ
    found: dict[tuple[Ref, str], list[str]] = {}
    by_type: dict[TypeName, set[str]] = {}
    for ref in refs:
        by_type.setdefault(ref.type_name, set()).add(ref.id)
    for target, ids in by_type.items():
        born = await _born(log, target, ids, last)
        first = 1 + min(born.get(id, 0) for id in ids)
        for type_, one in _relations_to(catalog, str(target)):
            if is_symmetric(type_, one):  # both ends hold it
                continue
            scan = _Scan(one, ids, born, exclusive=is_exclusive(catalog, one))
            source = TypeName.stored(type_)
            async for event in log.read(first, last, subjects=(source.subjects,)):
                scan.fold(event)
                left -= 1
                if left < 0:
                    raise Rejected(
                        f"the links to {target} {min(ids)} can't be read: more than {MOST_READ:,} events were written since it was made, "
                        "of the types that may point there; create it again by hand"
                    )
            found.update(((source.ref(id), one.name), sorted(to)) for id, to in scan.links.items() if to)
    return found


def _relations_to(catalog: Catalog, target: str) -> Iterator[tuple[str, FieldDef]]:
    for type_ in catalog.types.values():
        for one in type_.fields.values():
            if one.target == target and (one.written or not one.inverse):
                yield type_.name, one


async def _born(log: ReadableLog, type_: TypeName, ids: set[str], last: int) -> dict[str, int]:
    """Return, by id, where the transaction begins that made the entity last: links from before that are void."""
    born: dict[str, int] = {}
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        subjects = tuple(type_.ref(id).subject for id in ordered[start : start + CHUNK])
        async for event in log.read(1, last, subjects=subjects):
            if event.kind is Kind.CREATED:
                born[event.ref.id] = event.sequence - event.ordinal
    return born


class _Scan:
    """Folds the events of one type to its links, by one field, to some entities."""

    def __init__(self, one: FieldDef, ids: set[str], born: dict[str, int], *, exclusive: bool) -> None:
        self._one, self._ids, self._born, self._exclusive = one, ids, born, exclusive
        self.links: dict[str, set[str]] = {}

    def fold(self, event: StoredEvent) -> None:
        source, name, change = event.ref.id, self._one.name, event.change
        if event.kind is not Kind.UPDATED or name in change.unset:
            self.links.pop(source, None)
        for id in change.unlink.get(name, ()):
            self.links.get(source, set[str]()).discard(id)
        for id in change.link.get(name, ()):
            if not self._one.many:
                self.links.pop(source, None)
            if id not in self._ids or event.sequence <= self._born.get(id, 0):
                continue
            if self._exclusive:
                for others in self.links.values():
                    others.discard(id)
            self.links.setdefault(source, set()).add(id)
