"""Forgetting: an entity leaves the log itself, and with it every projection.

A `forgotten` event is appended, then the events below it are purged. It names what was purged, so that a projection folded from the
remaining events equals one that has read all of them. A note is written before the first step. What the note says is finished by this
call, by the next one, or at the next start of a node.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from core.graph.command.protocols import FoldingLoop, ForgettingLog
from core.graph.command.purge_plan import PurgePlan, Tellers, plan_purge
from eventstore import Transaction
from pcloud.errors import Conflict, Rejected
from pcloud.event import Change, Event, Kind
from pcloud.revision import Revision
from pcloud.subject import Ref, TypeName, new_id
from projections.graph.catalog import TypeDef
from projections.graph.contract import Filter, GraphReader, Has, Select, Some

__all__ = ["Forgetting", "ForgottenHook"]

log = logging.getLogger("pcloud.forget")
ATTEMPTS = 5
AT_ONCE = 100  # entities per transaction
PARALLEL = 16
# A note this old without an appended event was left by a node that died before appending: its caller received no answer.
STALE_SECONDS = 3600.0

ForgottenHook = Callable[[Sequence[Ref]], Awaitable[None]]


class Forgetting:
    """Forgets one batch at a time. The caller owns log, graph and loop."""

    def __init__(self, store: ForgettingLog, graph: GraphReader, loop: FoldingLoop) -> None:
        self._store, self._graph, self._loop = store, graph, loop
        self._tellers = Tellers(graph)
        self._hooks: list[ForgottenHook] = []
        self._turn = asyncio.Lock()

    def on_forgotten(self, hook: ForgottenHook) -> None:
        """Register `hook` to drop its data about entities, after their events are on the log and before they are purged. It may be
        called again for the same entities."""
        self._hooks.append(hook)

    async def forget(self, actor: str, refs: Iterable[Ref], *, cause: str = "", depth: int = 0) -> Revision:
        """Forget these entities and what is deleted along with them. Entities that are forgotten already, or never existed, cost nothing.

        Raises `Rejected` for an entity of the platform's own, `Conflict` when other writers keep changing them, `Unavailable`. Some
        entities may have been forgotten then; calling again forgets the rest.
        """
        wanted = list(dict.fromkeys(refs))
        for ref in wanted:
            if ref.app == "core":
                raise Rejected(f"{ref} belongs to the platform: revoke or remove it instead of forgetting it")
        async with self._turn:
            await self._finish()
            for chunk in _chunks(wanted):
                for part in _chunks(await self._with_parts(chunk)):
                    await self._forget(part, actor, cause, depth)
        return Revision(self._store.epoch, self._graph.checkpoint.sequence)

    async def forget_types(self, actor: str, app: str, progress: Callable[[int], None] = lambda count: None) -> int:
        """Forget every entity of the app's own types, deleted ones too, and remove its fields from other apps' entities (their earlier
        values stay in the history). The app must still be in the catalog. `progress` receives the count so far; returns the count."""
        if app == "core":
            raise Rejected("the platform's own types can't be forgotten")
        count = 0
        async for done in self._clear_fields(actor, app):
            progress(count := count + done)
        async with self._turn:
            await self._finish()
            batch: list[Ref] = []
            async for ref in self._store.erasure.entities(app):
                batch.append(ref)
                if len(batch) == AT_ONCE:
                    await self._forget(batch, actor, "", 0)
                    progress(count := count + len(batch))
                    batch = []
            await self._forget(batch, actor, "", 0)
            progress(count := count + len(batch))
        return count

    async def finish(self) -> None:
        """Finish what a node that died has left. Call it at each start."""
        async with self._turn:
            await self._finish()

    # --- one batch -------------------------------------------------------------------------------------------------------------------

    async def _forget(self, refs: Sequence[Ref], actor: str, cause: str, depth: int) -> None:
        if not refs:
            return
        note = new_id()
        await self._store.erasure.begin(note, refs)
        below: dict[Ref, int] = {}
        conflicts, left = 0, refs
        while plans := await self._plans(left):
            below.update((plan.ref, plan.below) for plan in plans if plan.event is None)
            todo = [(plan, plan.event) for plan in plans if plan.event is not None]
            if not todo:
                break
            try:
                events = tuple(event for _, event in todo)
                appended = await self._store.append(Transaction(new_id(), events, actor, cause, depth))
            except Conflict:
                if (conflicts := conflicts + 1) >= ATTEMPTS:
                    raise Conflict(
                        f"others kept changing what is to be forgotten, {ATTEMPTS} times: try again"
                    ) from None
                left = [plan.ref for plan, _ in todo]
                continue
            await self._loop.wait_for(appended.revision.sequence)
            for (plan, _), sequence in zip(todo, appended.sequences, strict=True):
                if plan.complete:
                    below[plan.ref] = plan.after or sequence
            left = [plan.ref for plan, _ in todo if not plan.complete]
        await self._purge(below)
        await self._store.erasure.done(note)

    async def _plans(self, refs: Sequence[Ref]) -> list[PurgePlan]:
        """Read the state of each entity on the log, once the graph has folded it too."""
        limit = asyncio.Semaphore(PARALLEL)
        batch = frozenset(refs)

        async def plan(ref: Ref) -> PurgePlan:
            async with limit:
                events = await self._store.erasure.events(ref)
                if events:
                    await self._loop.wait_for(events[-1].sequence)
                return await plan_purge(ref, events, self._tellers, batch)

        return list(await asyncio.gather(*(plan(ref) for ref in refs)))

    async def _purge(self, below: Mapping[Ref, int]) -> None:
        """Call the hooks, then purge the events below these sequences (0: nothing) from the log."""
        wanted = {ref: sequence for ref, sequence in below.items() if sequence}
        if not wanted:
            return
        for hook in self._hooks:
            await hook(list(wanted))
        limit = asyncio.Semaphore(PARALLEL)

        async def purge(ref: Ref, sequence: int) -> int:
            async with limit:
                return await self._store.erasure.purge(ref, sequence)

        gone = sum(await asyncio.gather(*(purge(ref, sequence) for ref, sequence in wanted.items())))
        log.info("%d entities are forgotten, %d events purged", len(wanted), gone)

    async def _finish(self) -> None:
        for note in await self._store.erasure.pending():
            plans = await self._plans(note.refs)
            for plan in plans:
                if plan.begun_by:
                    await self._forget([plan.ref], plan.begun_by, "", 0)
            if any(plan.below for plan in plans):
                log.warning("forgetting %d entities was interrupted and is finished now", len(note.refs))
                await self._purge({plan.ref: plan.below for plan in plans})
            elif not any(plan.begun_by for plan in plans) and time.time() - note.time < STALE_SECONDS:
                continue  # another node may be working on it
            await self._store.erasure.done(note.id)

    # --- what goes along ---------------------------------------------------------------------------------------------------------

    async def _with_parts(self, refs: Sequence[Ref]) -> list[Ref]:
        """Return these and, level by level, what is deleted with them; parts first, so that an interrupted call still finds them."""
        found: dict[Ref, None] = dict.fromkeys(refs)
        level: Sequence[Ref] = refs
        while level:
            new = [ref for ref in await self._parts(level) if ref not in found]
            found.update(dict.fromkeys(new))
            level = new
        return list(reversed(found))

    async def _parts(self, refs: Sequence[Ref]) -> list[Ref]:
        by_type: dict[str, list[str]] = {}
        for ref in refs:
            by_type.setdefault(str(ref.type_name), []).append(ref.id)
        found: list[Ref] = []
        types = self._graph.catalog.types
        for name, ids in by_type.items():
            for one in types[name].fields.values() if name in types else ():
                if one.cascade and one.target in types:
                    target = TypeName.parse(one.target)
                    related = await self._graph.related(name, one.name, ids)
                    found += (Ref(target.app, target.type, id) for many in related.values() for id in many)
        return found

    # --- an app's fields on others' entities -------------------------------------------------------------------------------------

    async def _clear_fields(self, actor: str, app: str) -> AsyncIterator[int]:
        """Go entity by entity and yield counts. The events are made here, as a command can't unset a required field."""
        for name, type_ in self._graph.catalog.types.items():
            own = _fields_of(type_, app)
            if name.startswith(f"{app}/") or not own:
                continue
            target = TypeName.parse(name)
            filled: Filter = Some(tuple(Has(field) for field in own))
            page = Select(name, ("id",), filter=filled, first=AT_ONCE, version=True)
            conflicts = 0
            while rows := await self._graph.fetch(page, patient=True):
                change = Change(unset=own)
                events = tuple(
                    Event(Ref(target.app, target.type, row["id"]), Kind.UPDATED, change, row["_version"])
                    for row in rows
                )
                try:
                    appended = await self._store.append(Transaction(new_id(), events, actor, urgent=True))
                except Conflict:
                    if (conflicts := conflicts + 1) >= ATTEMPTS:
                        raise
                    await self._loop.wait_for(await self._store.last_sequence())
                    continue
                conflicts = 0
                await self._loop.wait_for(appended.revision.sequence)
                yield len(rows)


def _fields_of(type_: TypeDef, app: str) -> list[str]:
    """Return the fields that the app has added to the type and that are stored with it."""
    return [
        one.name
        for one in type_.fields.values()
        if one.name.startswith(f"{app}/") and (one.written or not one.is_relation)
    ]


def _chunks(refs: Sequence[Ref]) -> Iterator[Sequence[Ref]]:
    for start in range(0, len(refs), AT_ONCE):
        yield refs[start : start + AT_ONCE]
