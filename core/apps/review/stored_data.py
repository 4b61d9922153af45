"""What an app may have stored, and which app left it: read from the log, which keeps what the app's entity held even
after a removal.

A later version may show such types and fields again but not redefine them, whether a rollback or a removal has
hidden them. Only the author of a removed app gets its data back without being asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.apps.protocols import AppsLog
from core.apps.record import app_ref
from core.apps.review.additive import added_fields, beyond
from core.apps.signing.author import Author
from pcloud.event import Kind, StoredEvent
from pcloud.subject import TypeName
from projections.directory import AppState
from projections.graph.catalog import Catalog

__all__ = ["Left", "Stored", "read_stored", "written_beyond"]


@dataclass(frozen=True, slots=True)
class Left:
    """A removed app whose data is kept. `archive`: its sha256. `at`: when it was removed."""

    version: str
    archive: str
    author: Author
    at: str


@dataclass(frozen=True, slots=True)
class Stored:
    """`catalog`: of everything declared by versions that ran, or that were rolled back after something was written
    under them, the latest definition of each field; nothing from before a removal that forgot the data. `left`: the
    app, while it is removed."""

    catalog: Catalog = field(default=Catalog())
    left: Left | None = None


async def read_stored(store: AppsLog, name: str) -> Stored:
    kept, left = Catalog(), None
    fields: dict[str, object] = {}
    async for event in _events(store, name):
        for gone in event.change.unset:
            fields.pop(gone, None)
        fields.update(event.change.set)
        if event.kind is Kind.DELETED:
            # A version whose installation failed may have written while it was tried.
            forgotten = fields.get("forget")
            kept = Catalog() if forgotten else beyond(_catalog(fields, "catalog"), _known(fields, kept))
            left = None if forgotten else _left(fields, event)
            fields = {}
        elif event.change.set.get("state") == AppState.RUNNING:
            kept = beyond(_catalog(fields, "catalog"), kept)
    return Stored(_known(fields, kept), None if fields else left)


async def written_beyond(store: AppsLog, name: str, newer: Catalog, older: Catalog) -> bool:
    """Return True if something was written to types or fields that only `newer` has, since it was registered. Call it after a rollback."""
    registered = [event.sequence async for event in _events(store, name) if event.change.set.get("step") == "register"]
    last = await store.last_event(app_ref(name))
    if last is None or len(registered) < 2:
        return True
    added = added_fields(older, newer)
    subjects = [TypeName.stored(type_).subjects for type_ in added]
    if not subjects:
        return False
    fresh = newer.types.keys() - older.types.keys()
    async for event in store.read(registered[-2], last.sequence, subjects=subjects):
        type_ = str(event.ref.type_name)
        if type_ in fresh or not added[type_].isdisjoint(event.change.fields):
            return True
    return False


async def _events(store: AppsLog, name: str) -> AsyncIterator[StoredEvent]:
    ref = app_ref(name)
    last = await store.last_event(ref)
    if last is not None:
        async for event in store.read(1, last.sequence, subjects=(ref.subject,)):
            yield event


def _left(fields: dict[str, object], removed: StoredEvent) -> Left:
    author = Author.stored(fields.get("bundled"), fields.get("signer"))
    at = datetime.fromtimestamp(removed.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Left(str(fields.get("version", "")), str(fields.get("archive", "")), author, at)


def _known(fields: dict[str, object], kept: Catalog) -> Catalog:
    """Include rolled-back definitions under which something was written."""
    return beyond(kept, _catalog(fields, "hidden"))


def _catalog(fields: dict[str, object], field: str) -> Catalog:
    return Catalog.from_json(str(fields.get(field) or "{}"))
