"""Undo: the inverse of a transaction, as a transaction of its own. Nothing leaves the log; what was done is done the other way round.

What was created is deleted, what was changed gets its values and links back, what was deleted is there again with its links, also those
that others had made to it. Where later changes stand on what would be taken back, the whole is refused, and each reason is named.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.command.change import NodeChange
from core.command.identity import request_hash, transaction_of_key
from core.command.inverse import inverse_of_update
from core.command.pointing import links_at, pointing_now
from core.command.staging import Staging
from core.command.transact import Commands, Outcome, WriteRequest
from pcloud.errors import Conflict, NotFound, Rejected
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref
from projections.graph.past import PastBounds, past_graph
from projections.graph.port import Child, GraphStore, IdIn, Node, Select

__all__ = ["UndoLog", "Undoing"]

BOUNDS = PastBounds(entities=50_000, events=200_000)
MOST_REASONS = 5


class UndoLog(Protocol):
    """The part of `eventstore.EventStore` that is needed."""

    @property
    def epoch(self) -> str: ...
    async def last_sequence(self) -> int: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...


class ViewLoop(Protocol):
    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None: ...


@dataclass
class _Plan:
    """What the inverse consists of; `reasons` why it can't be, `left_out`: links whose other end is not there to take them."""

    changes: list[NodeChange] = field(default_factory=list[NodeChange])
    reasons: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Entity:
    """What the transaction did to one entity, and the entity before it, after it, and now."""

    event: StoredEvent
    before: Node
    after: Node
    now: Node

    def differs(self, fields: frozenset[str] | None = None) -> bool:
        """Whether it is not as the transaction left it; in these fields alone, or in any."""
        names = fields if fields is not None else {*self._names(self.after), *self._names(self.now)}
        return self.now.exists != self.after.exists or any(
            _value(self.after, name) != _value(self.now, name) for name in names
        )

    @staticmethod
    def _names(node: Node) -> set[str]:
        return {*node.fields, *node.links}


class Undoing:
    """Whoever makes it owns log, graph and loop."""

    def __init__(self, log: UndoLog, graph: GraphStore, loop: ViewLoop, commands: Commands) -> None:
        self._log, self._graph, self._loop, self._commands = log, graph, loop, commands

    async def undo(self, actor: str, tx: str) -> Outcome:
        """Append the inverse of transaction `tx`; a second time answers as the first. `result`: `{"undone", "entities", "leftOut"}`.

        Raises `NotFound` for a transaction that the graph does not know (any more), `Rejected` for one that can't be undone, `Conflict`
        with the reasons where later changes stand on it.
        """
        request = WriteRequest(
            actor, transaction_of_key("undo", tx), keyed=True, request=request_hash(["undo", tx]), cause=tx
        )

        async def stage(staging: Staging) -> Mapping[str, Any]:
            events = await self._events(tx)
            plan = await self._plan(events)
            if plan.reasons:
                more = len(plan.reasons) - MOST_REASONS
                told = "; ".join(plan.reasons[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
                raise Conflict(f"{tx} can't be undone, as later changes stand on it: {told}. Undo those first")
            await staging.apply(plan.changes)
            return {"undone": [tx], "entities": len(events), "leftOut": plan.left_out}

        return await self._commands.transact(request, stage)

    async def _events(self, tx: str) -> list[StoredEvent]:
        """The transaction's members, from the log."""
        known = await self._graph.transaction(tx)
        if known is None:
            await self._loop.wait_for(await self._log.last_sequence())
            known = await self._graph.transaction(tx)
        if known is None:
            raise NotFound(
                f"there is no transaction {tx[:60]!r} of the last 90 days: `pcloud graph history` names an entity's"
            )
        if known.forgotten:
            raise Rejected(f"{tx} can't be undone: what it was about has been forgotten, and is nowhere any more")
        last = known.revision.sequence
        (end,) = [event async for event in self._log.read(last, last)] or (None,)
        first = last - end.total + 1 if end is not None else last
        found = [event async for event in self._log.read(first, last) if event.tx == tx]
        if end is None or len(found) != end.total:
            raise Rejected(f"{tx} can't be undone: a part of it has been purged from the log")
        for event in found:
            self._refuse(event)
        return found

    def _refuse(self, event: StoredEvent) -> None:
        if event.ref.app == "core":
            raise Rejected(
                f"{event.tx} can't be undone: it changed {event.ref}, which belongs to the platform; use its own command"
            )
        if event.kind is Kind.FORGOTTEN:
            raise Rejected(f"{event.tx} can't be undone: it made PCloud forget {event.ref}")
        if str(event.ref.type_name) not in self._graph.catalog.types:
            raise Rejected(f"{event.tx} can't be undone: there is no type {event.ref.type_name} any more")

    # --- what it takes -----------------------------------------------------------------------------------------------------------

    async def _plan(self, events: list[StoredEvent]) -> _Plan:
        plan = _Plan()
        now = await self._graph.nodes([event.ref for event in events])
        refs, selects = [event.ref for event in events], self._selects(events)
        async with past_graph(self._log, self._graph, selects, events[-1].sequence, BOUNDS) as past:
            after = await past.nodes(refs)
        async with past_graph(self._log, self._graph, selects, events[0].sequence - 1, BOUNDS) as past:
            before = await past.nodes(refs)
            for event in events:
                entity = _Entity(event, before[event.ref], after[event.ref], now[event.ref])
                if event.kind is Kind.DELETED:
                    self._bring_back(plan, entity)
                elif event.kind is Kind.UPDATED:
                    await self._change_back(plan, entity, past)
                else:
                    await self._take_away(plan, entity)
        await self._link_back(plan, [event for event in events if event.kind is Kind.DELETED], events)
        await self._refuse_pointing(plan, [event for event in events if event.kind is Kind.CREATED], events)
        await self._leave_out_missing(plan)
        return plan

    def _selects(self, events: Sequence[StoredEvent]) -> list[Select]:
        """What has to be known of the time before: the entities with their links."""
        by_type: dict[str, list[str]] = {}
        for event in events:
            by_type.setdefault(str(event.ref.type_name), []).append(event.ref.id)
        return [
            Select(type_, ("id",), filter=IdIn(tuple(ids)), children=tuple(self._children(type_)))
            for type_, ids in by_type.items()
        ]

    def _children(self, type_: str) -> list[Child]:
        types = self._graph.catalog.types
        return [
            Child(one.name, one.name, Select(one.target, ("id",)))
            for one in types[type_].fields.values()
            if one.is_relation and (one.written or not one.inverse) and one.target in types
        ]

    def _bring_back(self, plan: _Plan, entity: _Entity) -> None:
        event, before = entity.event, entity.before
        if entity.now.version != event.sequence:
            plan.reasons.append(f"{event.ref} has been made again since")
            return
        type_ = self._graph.catalog.types[str(event.ref.type_name)]
        values = {name: None for name, one in type_.fields.items() if one.default is not None} | dict(before.fields)
        plan.changes.append(
            NodeChange(event.ref, "add", set=values, link=before.links, must_not_exist=True, seen=entity.now.version)
        )

    async def _change_back(self, plan: _Plan, entity: _Entity, past: GraphStore) -> None:
        event = entity.event
        type_ = self._graph.catalog.types[str(event.ref.type_name)]
        if entity.differs(event.change.fields):
            plan.reasons.append(await self._later(entity, event.change.fields))
            return
        plan.changes.append(inverse_of_update(event, type_, entity.before, entity.now.version))
        for name, ids in event.change.link.items():
            one = type_.fields.get(name)
            if one is None or one.many or not one.inverse:
                continue
            for id, found in (await past.related(one.target, one.inverse, ids)).items():
                if self._graph.catalog.types[one.target].fields[one.inverse].many:
                    continue
                for holder in (other for other in found if other != event.ref.id):
                    ref = Ref(event.ref.app, event.ref.type, holder)
                    plan.changes.append(NodeChange(ref, "update", link={name: [id]}))

    async def _take_away(self, plan: _Plan, entity: _Entity) -> None:
        if entity.differs():
            plan.reasons.append(await self._later(entity))
            return
        plan.changes.append(NodeChange(entity.event.ref, "delete", seen=entity.now.version))

    async def _later(self, entity: _Entity, fields: frozenset[str] | None = None) -> str:
        """Which later event stands on it: the newest that took the entity away or touched one of these fields (None: any)."""
        event = entity.event
        told = f"{event.ref} was changed since, by what others linked to it"
        subjects = (event.ref.subject,)
        async for later in self._log.read(event.sequence + 1, entity.now.version, subjects=subjects):
            shared = sorted(later.change.fields if fields is None else later.change.fields & fields)
            if later.kind is not Kind.UPDATED or shared:
                what = f" ({', '.join(shared)})" if shared else ""
                told = f"{event.ref} was {later.kind.value} since, by {later.actor}{what} in transaction {later.tx}"
        return told

    # --- links of others ---------------------------------------------------------------------------------------------------------

    async def _link_back(self, plan: _Plan, deleted: Sequence[StoredEvent], events: Sequence[StoredEvent]) -> None:
        """Links that others had made to what is there again."""
        own = {event.ref for event in events}
        found = await links_at(self._log, self._graph.catalog, [event.ref for event in deleted], events[0].sequence - 1)
        nodes = await self._graph.nodes([ref for ref, _ in found if ref not in own])
        for (ref, name), ids in found.items():
            if ref in own:
                continue
            one = self._graph.catalog.types[str(ref.type_name)].fields[name]
            if not nodes[ref].exists or (not one.many and nodes[ref].links.get(name)):
                plan.left_out.append(f"{ref} {name}")
            else:
                plan.changes.append(NodeChange(ref, "update", link={name: ids}, seen=nodes[ref].version))

    async def _refuse_pointing(
        self, plan: _Plan, created: Sequence[StoredEvent], events: Sequence[StoredEvent]
    ) -> None:
        """What would be taken away must not be what others point to since."""
        own = {(event.ref, name, id) for event in events for name, ids in event.change.link.items() for id in ids}
        going = {event.ref for event in created}
        for ref in going:
            for other, name in await pointing_now(self._graph, ref):
                if other not in going and (other, name, ref.id) not in own:
                    plan.reasons.append(f"{other} is linked to {ref} since ({name})")

    async def _leave_out_missing(self, plan: _Plan) -> None:
        """Links to what does not exist any more can't be made again."""
        types = self._graph.catalog.types
        back = {change.ref for change in plan.changes if change.kind == "add"}
        wanted: dict[Ref, None] = {}
        for change in plan.changes:
            for name, ids in change.link.items():
                wanted.update((_target(types, change.ref, name, id), None) for id in ids)
        nodes = await self._graph.nodes([ref for ref in wanted if ref not in back])
        gone = {ref for ref, node in nodes.items() if not node.exists}
        for index, change in enumerate(plan.changes):
            link: dict[str, list[str]] = {}
            for name, ids in change.link.items():
                missing = [id for id in ids if _target(types, change.ref, name, id) in gone]
                plan.left_out += [f"{change.ref} {name} {id}" for id in missing]
                if kept := [id for id in ids if id not in missing]:
                    link[name] = kept
            plan.changes[index] = NodeChange(
                change.ref, change.kind, change.set, link=link, unlink=change.unlink, must_not_exist=change.must_not_exist,
                clear=change.clear, seen=change.seen,
            )  # fmt: skip


def _target(types: Mapping[str, Any], ref: Ref, name: str, id: str) -> Ref:
    app, _, type_ = types[str(ref.type_name)].fields[name].target.partition("/")
    return Ref(app, type_, id)


def _value(node: Node, name: str) -> Any:
    return node.links.get(name) or node.fields.get(name)
