"""The inverse of a transaction's events, as changes, and the reasons if later changes make it impossible.

Reads the past from the log and the present from the graph; appends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.graph.command.change import EntityChange
from core.graph.command.inverse import inverse_of_update
from core.graph.command.pointing import links_at, pointing_now
from core.graph.command.protocols import UndoLog
from core.graph.command.undo_since import Since, happened_since
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref, TypeName
from projections.graph.contract import Child, EntityState, GraphReader, IdIn, Select
from projections.graph.past import PastBounds, open_past
from projections.graph.relation import is_exclusive

__all__ = ["BOUNDS", "UndoPlan", "plan_undo"]

BOUNDS = PastBounds(
    entities=50_000, events=100_000, size=64 * 2**20, asked="undoing this transaction", instead="change it back by hand"
)


@dataclass
class UndoPlan:
    """The changes of the inverse; `reasons` why it is impossible; `left_out`: links whose other end is gone or taken."""

    changes: list[EntityChange] = field(default_factory=list[EntityChange])
    reasons: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Entity:
    """What the transaction did to one entity; the entity before it, after it, and now; and what happened to it since."""

    event: StoredEvent
    before: EntityState
    after: EntityState
    now: EntityState
    since: Since

    def reason(self, fields: frozenset[str] | None = None) -> str:
        """Return why it can't be undone: it differs from what the transaction left, in these fields or in any. '': it can be undone."""
        if self.since.remade:
            return self.since.remade
        names = fields if fields is not None else {*_names(self.after), *_names(self.now)}
        if self.now.exists == self.after.exists and all(
            _value(self.after, name) == _value(self.now, name) for name in names
        ):
            return ""
        return self.since.told or f"{self.event.ref} was changed since, by what others linked to it"


async def plan_undo(log: UndoLog, graph: GraphReader, events: Sequence[StoredEvent]) -> UndoPlan:
    """`events`: a whole transaction without events of the platform's types or of removed types. Raises `Rejected` if that would read
    too much."""
    return await _Planning(log, graph, events).plan()


class _Planning:
    def __init__(self, log: UndoLog, graph: GraphReader, events: Sequence[StoredEvent]) -> None:
        self._log, self._graph, self._events = log, graph, events
        self._types = graph.catalog.types
        self._displaced: list[tuple[Ref, str, str]] = []  # what entities took: (holder, field, what)
        self._plan = UndoPlan()

    async def plan(self) -> UndoPlan:
        for entity in await self._entities():
            match entity.event.kind:
                case Kind.DELETED:
                    self._bring_back(entity)
                case Kind.UPDATED:
                    self._change_back(entity)
                case _:
                    self._take_away(entity)
        await self._hand_back()
        await self._link_back([event for event in self._events if event.kind is Kind.DELETED])
        await self._refuse_pointing({event.ref for event in self._events if event.kind is Kind.CREATED})
        await self._leave_out_missing()
        while taken := await self._taken():  # an entity that gets nothing back keeps what it has, which others may want
            self._leave_out(taken)
        return self._plan

    async def _entities(self) -> list[_Entity]:
        refs, first, last = [event.ref for event in self._events], self._events[0].sequence, self._events[-1].sequence
        async with open_past(self._log, self._graph, self._selects(), last, BOUNDS) as past:
            await past.go_to(first - 1)
            before = await past.graph.entities(refs)
            await self._find_displaced(past.graph)
            await past.go_to(last)
            after = await past.graph.entities(refs)
        now = await self._graph.entities(refs)
        since = await happened_since(self._log, self._events, {ref: entity.version for ref, entity in now.items()})
        return [
            _Entity(event, before[event.ref], after[event.ref], now[event.ref], since[event.ref])
            for event in self._events
        ]

    def _selects(self) -> list[Select]:
        """Return what has to be read from the time before: the entities with their links."""
        by_type: dict[str, list[str]] = {}
        for event in self._events:
            by_type.setdefault(str(event.ref.type_name), []).append(event.ref.id)
        return [
            Select(type_, ("id",), filter=IdIn(tuple(ids)), children=tuple(self._children(type_)))
            for type_, ids in by_type.items()
        ]

    def _children(self, type_: str) -> list[Child]:
        return [
            Child(one.name, one.name, Select(one.target, ("id",)))
            for one in self._types[type_].fields.values()
            if one.is_relation and (one.written or not one.inverse) and one.target in self._types
        ]

    async def _find_displaced(self, past: GraphReader) -> None:
        """A transaction's one-to-one links take their targets from other entities, whose events do not mention it: find those."""
        for event in self._events:
            for name, ids in event.change.link.items():
                one = self._types[str(event.ref.type_name)].fields.get(name)
                if one is None or not is_exclusive(self._graph.catalog, one):
                    continue
                for id, holders in (await past.related(one.target, one.inverse, ids)).items():
                    self._displaced += [
                        (Ref(event.ref.app, event.ref.type, holder), name, id)
                        for holder in holders
                        if holder != event.ref.id
                    ]

    # --- entity by entity --------------------------------------------------------------------------------------------------------

    def _bring_back(self, entity: _Entity) -> None:
        event, before = entity.event, entity.before
        if entity.now.version != event.sequence:
            self._plan.reasons.append(f"{event.ref} has been made again since")
            return
        type_ = self._types[str(event.ref.type_name)]
        values = {name: None for name, one in type_.fields.items() if one.default is not None} | dict(before.fields)
        self._plan.changes.append(
            EntityChange(event.ref, "add", set=values, link=before.links, must_not_exist=True, seen=entity.now.version)
        )

    def _change_back(self, entity: _Entity) -> None:
        event = entity.event
        if reason := entity.reason(event.change.fields):
            self._plan.reasons.append(reason)
            return
        type_ = self._types[str(event.ref.type_name)]
        self._plan.changes.append(inverse_of_update(event, type_, entity.before, entity.now.version))

    def _take_away(self, entity: _Entity) -> None:
        if reason := entity.reason():
            self._plan.reasons.append(reason)
            return
        self._plan.changes.append(EntityChange(entity.event.ref, "delete", seen=entity.now.version))

    # --- links of others ---------------------------------------------------------------------------------------------------------

    async def _hand_back(self) -> None:
        """Give back what one-to-one links took from others. What the transaction did to those itself is undone already."""
        changed = {(event.ref, name) for event in self._events for name in event.change.fields}
        deleted = {event.ref for event in self._events if event.kind is Kind.DELETED}
        wanted = {(ref, name): [id] for ref, name, id in self._displaced if ref not in deleted}
        await self._give_links({key: ids for key, ids in wanted.items() if key not in changed})

    async def _link_back(self, deleted: Sequence[StoredEvent]) -> None:
        """Restore links that others had made to the restored entities."""
        own = {event.ref for event in self._events}
        refs, before = [event.ref for event in deleted], self._events[0].sequence - 1
        found = await links_at(self._log, self._graph.catalog, refs, before)
        await self._give_links({key: ids for key, ids in found.items() if key[0] not in own})

    async def _give_links(self, wanted: Mapping[tuple[Ref, str], Sequence[str]]) -> None:
        """Link entities that exist and have no other link in its place."""
        entities = await self._graph.entities(list({ref for ref, _ in wanted}))
        for (ref, name), ids in wanted.items():
            one, entity = self._types[str(ref.type_name)].fields[name], entities[ref]
            if not entity.exists or (not one.many and entity.links.get(name)):
                self._plan.left_out.append(f"{ref} {name}")
            else:
                self._plan.changes.append(EntityChange(ref, "update", link={name: list(ids)}, seen=entity.version))

    async def _refuse_pointing(self, going: set[Ref]) -> None:
        """Refuse to delete what others have linked to since."""
        own = {(event.ref, name, id) for event in self._events for name, ids in event.change.link.items() for id in ids}
        for ref in going:
            for other, name in await pointing_now(self._graph, ref):
                if other not in going and (other, name, ref.id) not in own:
                    self._plan.reasons.append(f"{other} is linked to {ref} since ({name})")

    # --- what can't come back ----------------------------------------------------------------------------------------------------

    async def _leave_out_missing(self) -> None:
        """Leave out links to entities that no longer exist."""
        back = {change.ref for change in self._plan.changes if change.kind == "add"}
        wanted = {self._target(change.ref, name, id) for change, name, id in self._links()}
        entities = await self._graph.entities([ref for ref in wanted if ref not in back])
        gone = {ref for ref, entity in entities.items() if not entity.exists}
        self._leave_out({
            (change.ref, name, id) for change, name, id in self._links() if self._target(change.ref, name, id) in gone
        })  # fmt: skip

    async def _taken(self) -> set[tuple[Ref, str, str]]:
        """Return one-to-one links to targets that another entity has linked to since and keeps: restoring them would take those away."""
        asked: dict[tuple[str, str], list[tuple[Ref, str]]] = {}
        for change, name, id in self._links():
            type_ = str(change.ref.type_name)
            if is_exclusive(self._graph.catalog, self._types[type_].fields[name]):
                asked.setdefault((type_, name), []).append((change.ref, id))
        taken: set[tuple[Ref, str, str]] = set()
        for (type_, name), links in asked.items():
            one = self._types[type_].fields[name]
            holders = await self._graph.related(one.target, one.inverse, [id for _, id in links])
            letting_go = self._letting_go(name)
            for ref, id in links:
                others = {Ref(ref.app, ref.type, holder) for holder in holders.get(id, ())} - {ref} - letting_go
                if others:
                    taken.add((ref, name, id))
        return taken

    def _letting_go(self, name: str) -> set[Ref]:
        """Return the entities that will no longer be linked by this field."""
        return {
            change.ref
            for change in self._plan.changes
            if change.kind == "delete" or name in change.link or name in change.unlink or name in change.clear
        }

    def _links(self) -> list[tuple[EntityChange, str, str]]:
        return [(change, name, id) for change in self._plan.changes for name, ids in change.link.items() for id in ids]

    def _leave_out(self, links: set[tuple[Ref, str, str]]) -> None:
        self._plan.left_out += [f"{ref} {name} {id}" for ref, name, id in sorted(links, key=str)]
        if not links:
            return
        for index, change in enumerate(self._plan.changes):
            kept = {
                name: [id for id in ids if (change.ref, name, id) not in links] for name, ids in change.link.items()
            }
            self._plan.changes[index] = replace(change, link={name: ids for name, ids in kept.items() if ids})

    def _target(self, ref: Ref, name: str, id: str) -> Ref:
        target = TypeName.parse(self._types[str(ref.type_name)].fields[name].target)
        return Ref(target.app, target.type, id)


def _names(entity: EntityState) -> set[str]:
    return {*entity.fields, *entity.links}


def _value(entity: EntityState, name: str) -> Any:
    return entity.links.get(name) or entity.fields.get(name)
