"""By which schemas an app's data may be stored: read from the log, which keeps what its node said when that is long removed.

A later version may show such types and fields again, not make others of them, whether a rollback or a removal has hidden them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.app.additive import added_fields, beyond
from core.app.ports import Store
from core.app.record import app_ref
from pcloud.event import Kind, StoredEvent
from pcloud.subject import TypeName
from projections.directory import AppState
from projections.graph.catalog import Catalog

__all__ = ["stored_catalog", "written_beyond"]


async def stored_catalog(store: Store, name: str) -> Catalog:
    """What all versions declared that ran, or were taken back after something was written under them; nothing of before a removal
    that forgot the data. The latest definition of each field."""
    kept = Catalog()
    node: dict[str, object] = {}
    async for event in _events(store, name):
        for field in event.change.unset:
            node.pop(field, None)
        node.update(event.change.set)
        if event.kind is Kind.DELETED:
            # One that never ran may have written while it was tried.
            kept = Catalog() if node.get("forget") else beyond(_catalog(node, "catalog"), _known(node, kept))
            node = {}
        elif event.change.set.get("state") == AppState.RUNNING:
            kept = beyond(_catalog(node, "catalog"), kept)
    return _known(node, kept)


async def written_beyond(store: Store, name: str, newer: Catalog, older: Catalog) -> bool:
    """Whether anything was written into what only `newer` has, since it was registered. To be asked when it has been taken back."""
    registered = [event.sequence async for event in _events(store, name) if event.change.set.get("step") == "register"]
    last = await store.last_event(app_ref(name))
    if last is None or len(registered) < 2:
        return True
    added = added_fields(older, newer)
    subjects = [f"graph.{TypeName.parse(type_).app}.{TypeName.parse(type_).type}.*" for type_ in added]
    if not subjects:
        return False
    fresh = newer.types.keys() - older.types.keys()
    async for event in store.read(registered[-2], last.sequence, subjects=subjects):
        type_ = str(event.ref.type_name)
        if type_ in fresh or not added[type_].isdisjoint(event.change.fields):
            return True
    return False


async def _events(store: Store, name: str) -> AsyncIterator[StoredEvent]:
    ref = app_ref(name)
    last = await store.last_event(ref)
    if last is not None:
        async for event in store.read(1, last.sequence, subjects=(ref.subject,)):
            yield event


def _known(node: dict[str, object], kept: Catalog) -> Catalog:
    """With what was taken back and has been written into."""
    return beyond(kept, _catalog(node, "hidden"))


def _catalog(node: dict[str, object], field: str) -> Catalog:
    return Catalog.from_json(str(node.get(field) or "{}"))
