"""The projection: folds core's own events, keeps the records, and reports changes.

The entities are in the in-memory graph model (`graph`), which answers queries for core's own types; the records are
read from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pcloud.errors import Corrupt, NotFound
from pcloud.event import Kind, StoredEvent
from pcloud.manifest import Action
from pcloud.subject import Ref, graph_subjects, split_name
from projections.checkpoint import Checkpoint
from projections.directory.app import App, AppState
from projections.directory.grant import Grant
from projections.directory.records import Capability, Device, Owner, Records, TriggerPast
from projections.directory.session import Session
from projections.directory.snapshot import read_snapshot, write_snapshot
from projections.graph.catalog import Catalog
from projections.graph.model import ModelGraph
from projections.position import misplaced

__all__ = ["Changed", "Directory", "DirectoryLog", "open_directory"]

log = logging.getLogger("pcloud.view")
APP = "core"
SUBJECTS = (graph_subjects("core"),)
SAVE_AFTER = 500  # core's events between two snapshots; folding this many takes some ten milliseconds


class DirectoryLog(Protocol):
    """The part of `eventstore.EventStore` that opening needs."""

    @property
    def epoch(self) -> str: ...
    async def last_sequence(self) -> int: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncGenerator[StoredEvent, None]: ...


@dataclass(frozen=True, slots=True)
class Changed:
    """The changes of one batch. `catalog`: True if types or fields were added or removed."""

    refs: frozenset[Ref]
    catalog: bool

    def touches(self, *types: str) -> bool:
        return any(ref.type in types for ref in self.refs)


class Directory:
    """A target of the projection loop that folds the whole log; events of apps' types only move its checkpoint.

    Reads are answered from memory, immediately. `declared`: the sequence of the last change of types and fields; a
    graph projection before that sequence does not have them yet.
    """

    name = "directory"
    version = 1

    def __init__(self, builtin: Catalog, snapshot: Path | None = None) -> None:
        self.graph = ModelGraph(builtin, only=APP)
        self.records = Records()
        self.declared = 0
        self._snapshot = snapshot
        self._unsaved = 0
        self._listeners: list[Callable[[Changed], None]] = []

    @property
    def checkpoint(self) -> Checkpoint:
        return self.graph.checkpoint

    @property
    def catalog(self) -> Catalog:
        """All types as of the checkpoint, including the apps'."""
        return self.graph.catalog

    # --- folding -----------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """Fold whole transactions; listeners are called before this returns. Raises `Corrupt` for another epoch."""
        before, catalog = self.checkpoint, self.catalog
        new = [event for event in events if event.sequence > before.sequence]
        if not new:
            return before
        if any(event.ref.app == APP for event in new):
            await self.graph.apply(epoch, new)
            self._read_again(new, catalog)
        self.graph.stand_at(Checkpoint(epoch, new[-1].sequence, 0, tip=new[-1].digest))
        return self.checkpoint

    def _read_again(self, events: Sequence[StoredEvent], catalog: Catalog) -> None:
        refs = frozenset(event.ref for event in events if event.ref.app == APP)
        self.records = self.records.after(refs, self.graph.stored)
        changed = Changed(refs, self.catalog is not catalog and self.catalog != catalog)
        self.declared = max((event.sequence for event in events if _declares(event)), default=self.declared)
        self._unsaved += len(refs)
        for listener in list(self._listeners):
            listener(changed)

    def on_changed(self, callback: Callable[[Changed], None]) -> Callable[[], None]:
        """Call `callback` after each change; it must not block and not raise. Returns a function that removes it."""
        self._listeners.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return unsubscribe

    async def catch_up(self, source: DirectoryLog) -> None:
        """Fold core's events up to the log's current end, without reading the others."""
        last = await source.last_sequence()
        events = [event async for event in source.read(self.checkpoint.sequence + 1, last, subjects=SUBJECTS)]
        await self.apply(source.epoch, events)
        if last > self.checkpoint.sequence:
            self.graph.stand_at(Checkpoint(source.epoch, last, 0))

    # --- look-ups -----------------------------------------------------------------------------------------------------

    def app(self, name: str) -> App:
        """Raises `NotFound`."""
        if (app := self.records.apps.get(name)) is None:
            raise NotFound(f"there is no app {name!r} here: `pcloud app list` shows what is installed")
        return app

    def action(self, app: str, action: str) -> Action:
        """The action as the app's manifest declares it; raises `NotFound` for an app or an action that does not
        exist."""
        manifest = self.app(app).manifest
        if self.app(app).state is AppState.REMOVING:
            raise NotFound(f"the app {app!r} is being removed")
        for one in manifest.actions:
            if one.name == action:
                return one
        known = ", ".join(sorted(one.name for one in manifest.actions)) or "no actions"
        raise NotFound(f"{app} has no action {action!r}; it has {known}")

    def holder(self, role: str) -> str:
        """The app that holds `role`: the first by name if several offer it. Raises `NotFound`."""
        for name, app in sorted(self.records.apps.items()):
            if role in app.manifest.provides and app.state is not AppState.REMOVING:
                return name
        raise NotFound(f"no installed app provides the role {role!r}: install one that does")

    def grants(self, app: str) -> tuple[Grant, ...]:
        """All grants of an app, decided or not, by verb and target."""
        found = (grant for grant in self.records.grants.values() if grant.app == app)
        return tuple(sorted(found, key=lambda grant: (grant.verb, grant.target)))

    def approved(self, app: str) -> tuple[Grant, ...]:
        """The grants of the app that the owner has approved."""
        return tuple(grant for grant in self.grants(app) if grant.approved)

    def may_call(self, app: str, target: str) -> bool:
        """Return True if `app` was granted this very target, written as in its manifest: `app/action` or
        `role:ROLE/action`.

        An app's own actions need no grant. The holder of a role does not matter: ask with the form that the caller
        used. The grants of a removed app are not valid until it is installed again.
        """
        if split_name(target)[0] == app:
            return True
        return self.is_here(app) and any(
            grant.verb == "call" and grant.target == target for grant in self.approved(app)
        )

    def is_here(self, app: str) -> bool:
        """Return True if the app is installed and not being removed."""
        found = self.records.apps.get(app)
        return found is not None and found.state is not AppState.REMOVING

    def is_internal(self, app: str, action: str) -> bool:
        """Return True if only core may call the action."""
        found = self.records.apps.get(app)
        return found is not None and any(one.internal and one.name == action for one in found.manifest.actions)

    def sequence_of(self, type: str, id: str) -> int:
        """The sequence of the last event of one of core's entities; 0 if it never existed."""
        return self.graph.sequence_of(Ref(APP, type, id))

    def owner(self) -> Owner | None:
        """The first person; None until the cloud's first start is complete."""
        return self.records.owners.get("owner")

    def session(self, id: str, now: float) -> Session | None:
        """The session; None if it does not exist or has ended by `now`: on request, by expiry, or with the person's
        credential."""
        session = self.records.sessions.get(id)
        if session is None or session.ended or session.expires <= now:
            return None
        person = self.records.owners.get(session.person)
        return session if person is not None and person.credential == session.credential else None

    def device_with(self, token_hash: str) -> Device | None:
        """The active device whose token has this SHA-256."""
        for device in self.records.devices.values():
            if device.token_hash == token_hash and device.state == "active":
                return device
        return None

    def capability(self, id: str) -> Capability | None:
        return self.records.capabilities.get(id)

    def past(self, app: str, trigger: str) -> TriggerPast | None:
        """The past of `app/trigger`; None if it was never attached."""
        found = (past for past in self.records.pasts.values() if past.app == app and past.name == trigger)
        return next(found, None)

    # --- its file ----------------------------------------------------------------------------------------------------------------

    async def save(self, *, always: bool = False) -> None:
        """Write the snapshot if enough has changed since the last one. If the disk refuses, the next start only takes longer."""
        if self._snapshot is None or not self._unsaved or (self._unsaved < SAVE_AFTER and not always):
            return
        unsaved, self._unsaved = self._unsaved, 0
        try:
            await asyncio.to_thread(write_snapshot, self._snapshot, self.version, self.graph.freeze(), self.declared)
        except OSError as error:
            self._unsaved += unsaved
            log.warning("the directory's snapshot could not be saved: %s", error)

    async def load(self, source: DirectoryLog) -> None:
        """Begin with the snapshot if it is whole and belongs to this log."""
        if self._snapshot is None:
            return
        try:
            found = await asyncio.to_thread(read_snapshot, self._snapshot, self.version)
        except Corrupt as error:
            log.warning("%s; the directory is folded from the log", error.message)
            return
        if found is None:
            return
        if reason := await misplaced(source, found.frozen.checkpoint):
            log.warning("the directory is folded from the log: %s", reason)
        elif self.graph.thaw(found.frozen):
            self.declared = found.declared
            self.records = Records().after(self.graph.refs(), self.graph.stored)

    async def keep_saved(self, seconds: float = 60.0) -> None:
        """Write snapshots until cancelled; after a crash, the node folds what came after the last one."""
        while True:
            await asyncio.sleep(seconds)
            await self.save()


def _declares(event: StoredEvent) -> bool:
    """Return True if the event may change types or fields."""
    gone = event.kind in (Kind.DELETED, Kind.FORGOTTEN)
    return event.ref.app == APP and event.ref.type == "App" and (gone or "catalog" in event.change.fields)


async def open_directory(source: DirectoryLog, builtin: Catalog, snapshot: Path | None = None) -> Directory:
    """Open from the snapshot and the events since."""
    directory = Directory(builtin, snapshot)
    await directory.load(source)
    await directory.catch_up(source)
    return directory
