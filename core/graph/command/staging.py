"""Stages changes against one snapshot of the graph and merges them to at most one event per entity.

A relation may be written from either end; the link is always put under the written one. Deleting includes the entities that
`onDelete: CASCADE` names, even if the caller can't see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.graph.command.change import EntityChange
from core.graph.command.entity_draft import EntityDraft
from pcloud.errors import Conflict, NotFound, Rejected
from pcloud.event import Event
from pcloud.subject import Ref, TypeName
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import EntityState, GraphReader

__all__ = ["MAX_EVENTS", "Staging", "Stale"]

MAX_EVENTS = 1_000  # per transaction: JetStream's limit for an atomic batch


class Stale(Exception):
    """The state on which the writer decided has changed: decide again."""


class Staging:
    """One transaction while it is assembled. `adds_update`: an `add` of an existing entity updates what differs, as in a run."""

    def __init__(self, graph: GraphReader, catalog: Catalog, *, adds_update: bool = False) -> None:
        self._graph, self._catalog, self._adds_update = graph, catalog, adds_update
        self._drafts: dict[Ref, EntityDraft] = {}

    def draft(self, ref: Ref) -> EntityDraft:
        """Return the draft of an entity that was loaded."""
        return self._drafts[ref]

    async def apply(self, changes: Sequence[EntityChange]) -> None:
        """Stage these changes, in order, after those staged before. Raises `Rejected`, `NotFound`, `Conflict` or `Stale`."""
        for change in changes:
            if change.fresh:
                self._drafts[change.ref] = EntityDraft(
                    EntityState(change.ref, 0, exists=False), self._type(str(change.ref.type_name))
                )
        await self._load(ref for change in changes for ref in self._touched(change))
        for change in changes:
            await self._stage(change)

    def events(self) -> tuple[Event, ...]:
        """Return the merged events; empty if nothing changes."""
        for draft in self._drafts.values():
            if draft.exists and draft.links:
                self._check_targets(draft)
        events = [event for draft in self._drafts.values() if (event := draft.event()) is not None]
        if len(events) > MAX_EVENTS:
            raise Rejected(
                f"the operation changes {len(events)} entities, {MAX_EVENTS} are allowed: do it in parts (deleting counts what goes along)"
            )
        return tuple(events)

    # --- loading ---------------------------------------------------------------------------------------------------------------

    def _type(self, name: str) -> TypeDef:
        if (found := self._catalog.types.get(name)) is None:
            raise Rejected(f"there is no type {name!r}")
        return found

    def _relation(self, type_: TypeDef, name: str) -> FieldDef:
        one = type_.fields.get(name)
        if one is None or not one.is_relation:
            raise Rejected(f"the type {type_.name!r} has no relation {name!r}")
        return one

    def _touched(self, change: EntityChange) -> Iterable[Ref]:
        yield change.ref
        type_ = self._type(str(change.ref.type_name))
        for links in (change.link, change.unlink):
            for name, ids in links.items():
                target = TypeName.parse(self._relation(type_, name).target)
                yield from (Ref.make(target.app, target.type, id) for id in ids)

    async def _load(self, refs: Iterable[Ref]) -> None:
        missing = [ref for ref in dict.fromkeys(refs) if ref not in self._drafts]
        if not missing:
            return
        if len(missing) + len(self._drafts) > 4 * MAX_EVENTS:
            raise Rejected(f"the operation names {len(missing)} entities, which is too many: do it in parts")
        for ref, stored in (await self._graph.entities(missing)).items():
            self._drafts[ref] = EntityDraft(stored, self._type(str(ref.type_name)))

    # --- staging ---------------------------------------------------------------------------------------------------------------

    async def _stage(self, change: EntityChange) -> None:
        draft = self._drafts[change.ref]
        if change.seen is not None and change.seen != draft.stored.version:
            raise Stale
        if change.kind == "delete":
            await self._delete([change.ref])
            return
        if draft.deleted:
            if change.kind == "update":
                return
            raise Rejected(f"{change.ref} is deleted and added in one operation: use two")
        if not self._prepare(draft, change):
            return
        draft.set(change.set)
        draft.set(dict.fromkeys(change.unset))
        draft.discard(change.discard)
        for name in change.clear:
            await self._clear(draft, name)
        for name, ids in change.unlink.items():
            self._put_link(draft, name, ids, remove=True)
        for name, ids in change.link.items():
            self._put_link(draft, name, ids, remove=False)

    def _prepare(self, draft: EntityDraft, change: EntityChange) -> bool:
        """Return True if there is anything to do; create the entity if the change requires it."""
        if draft.exists:
            if change.kind == "add" and (change.must_not_exist or not self._adds_update):
                raise Conflict(f"{change.ref} exists already: update it, or add it with `upsert: true`")
            return change.kind != "ensure"
        if change.kind == "update":
            raise NotFound(f"there is no {change.ref.type_name} with the id {change.ref.id!r}")
        draft.create()
        return True

    def _put_link(self, draft: EntityDraft, name: str, ids: Sequence[str], *, remove: bool) -> None:
        one = self._relation(draft.type, name)
        if not one.many and len(ids) > 1:
            raise Rejected(f"{name!r} of {draft.type.name!r} relates to one, not to {len(ids)}")
        if one.written or not one.inverse:
            (draft.unlink if remove else draft.link)(name, ids)
            return
        target = TypeName.parse(one.target)
        for id in ids:
            other = self._drafts[Ref(target.app, target.type, id)]
            if not other.exists:
                if remove:
                    continue
                raise NotFound(f"there is no {target} with the id {id!r} to link to")
            (other.unlink if remove else other.link)(one.inverse, (draft.stored.ref.id,))

    async def _clear(self, draft: EntityDraft, name: str) -> None:
        one = self._relation(draft.type, name)
        if one.written or not one.inverse:
            draft.linked(name).clear()
            return
        ref = draft.stored.ref
        target = TypeName.parse(one.target)
        found = await self._graph.related(str(ref.type_name), name, [ref.id])
        others = [Ref(target.app, target.type, id) for id in found.get(ref.id, ())]
        await self._load(others)
        for other in others:
            self._drafts[other].unlink(one.inverse, (ref.id,))

    async def _delete(self, refs: Sequence[Ref]) -> None:
        """Delete these and, level by level, everything that cascades from them."""
        while refs:
            await self._load(refs)
            going = [ref for ref in refs if self._drafts[ref].exists]
            for ref in going:
                self._drafts[ref].deleted = True
            if sum(draft.deleted for draft in self._drafts.values()) > MAX_EVENTS:
                raise Rejected(f"deleting this deletes more than {MAX_EVENTS} entities with it: delete in parts")
            refs = await self._cascading(going)

    async def _cascading(self, refs: Sequence[Ref]) -> list[Ref]:
        by_type: dict[str, list[str]] = {}
        for ref in refs:
            by_type.setdefault(str(ref.type_name), []).append(ref.id)
        found: dict[Ref, None] = {}
        for type_, ids in by_type.items():
            for one in self._type(type_).fields.values():
                if not one.cascade or one.target not in self._catalog.types:
                    continue
                target = TypeName.parse(one.target)
                for related in (await self._graph.related(type_, one.name, ids)).values():
                    found.update((Ref(target.app, target.type, id), None) for id in related)
        return list(found)

    def _check_targets(self, draft: EntityDraft) -> None:
        for one, id in draft.new_links():
            target = TypeName.parse(one.target)
            other = self._drafts.get(Ref(target.app, target.type, id))
            if other is None or not other.exists:
                raise NotFound(f"there is no {target} with the id {id!r} to link to")
