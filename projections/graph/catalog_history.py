"""Which apps declared what, in the order of the log: only `core/App` events change the catalog.

A removed app takes its types out of the catalog, and a rollback takes out the fields of the newer version; their stored
data stays, hidden, and becomes visible again when they return. So a history also keeps everything that was ever
declared, for stores to fold into.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref
from projections.graph.catalog import Catalog, FieldDef, TypeDef, merge
from projections.graph.fold import transactions

__all__ = ["BUILTIN", "CatalogHistory", "Declared", "fillings", "shape"]

BUILTIN = ""
"""Core's own types have this name, which no app can have."""


class Declared(msgspec.Struct, frozen=True):
    """What one app declares now (None: removed), and all that it ever declared, with the latest definition of each
    field."""

    now: Catalog | None
    ever: Catalog


class CatalogHistory(msgspec.Struct, frozen=True):
    """All declarations up to one point of the log. Immutable: `after` returns the next one."""

    apps: dict[str, Declared] = {}

    def visible(self) -> Catalog:
        return merge(declared.now for _, declared in sorted(self.apps.items()) if declared.now is not None)

    def stored(self) -> Catalog:
        return merge(declared.ever for _, declared in sorted(self.apps.items()))

    def declare(self, app: str, catalog: Catalog) -> CatalogHistory:
        before = self.apps.get(app)
        ever = _overlay(before.ever, catalog) if before else catalog
        return CatalogHistory({**self.apps, app: Declared(now=catalog, ever=ever)})

    def remove(self, app: str) -> CatalogHistory:
        if app not in self.apps:
            return self
        return CatalogHistory({**self.apps, app: Declared(now=None, ever=self.apps[app].ever)})

    def after(self, transaction: Iterable[StoredEvent]) -> CatalogHistory:
        """The history after `transaction`: itself if that changes no catalog. Raises `Corrupt` for an invalid
        catalog."""
        history = self
        for event in transaction:
            if event.ref.app == "core" and event.ref.type == "App":
                history = history._after_app(event.ref, event)
        return history

    def parts(self, events: Iterable[StoredEvent]) -> list[tuple[list[StoredEvent], CatalogHistory]]:
        """The events cut where the catalog changes; each part comes with the catalogs for folding it."""
        parts: list[tuple[list[StoredEvent], CatalogHistory]] = []
        history = self
        for members in transactions(events):
            after = history.after(members)
            if parts and after is history:
                parts[-1][0].extend(members)
            else:
                parts.append((members, after))
            history = after
        return parts

    def _after_app(self, ref: Ref, event: StoredEvent) -> CatalogHistory:
        if event.kind in (Kind.DELETED, Kind.FORGOTTEN) or "catalog" in event.change.unset:
            return self.remove(ref.id)
        text: Any = event.change.set.get("catalog")
        if not text:
            return self
        try:
            return self.declare(ref.id, Catalog.from_json(text))
        except (msgspec.MsgspecError, TypeError) as error:
            raise Corrupt(
                f"event {event.sequence} gives the app {ref.id!r} a catalog that can't be read: {error}"
            ) from error


def fillings(before: Catalog, after: Catalog) -> dict[str, dict[str, Any]]:
    """By type and field, the default for entities without a value when the visible catalog becomes `after`, for every
    field that must have a value from here on. An upgrade may add such a field before any entity has a value for it."""
    found: dict[str, dict[str, Any]] = {}
    for name, type_ in after.types.items():
        old = before.types[name].fields if name in before.types else {}
        for field in type_.fields.values():
            if not _filled(field) or (field.name in old and _filled(old[field.name])):
                continue
            found.setdefault(name, {})[field.name] = field.default
    return found


def _filled(field: FieldDef) -> bool:
    return field.required and not field.is_relation and field.default is not None


def shape(field: FieldDef) -> tuple[Any, ...]:
    """The properties that a stored value depends on: a field whose shape changes starts empty."""
    if field.is_relation:
        return (field.target, field.many, field.written)
    return (field.kind, field.many)


def _overlay(before: Catalog, now: Catalog) -> Catalog:
    def types(old: dict[str, TypeDef], new: dict[str, TypeDef]) -> dict[str, TypeDef]:
        result = dict(old)
        for name, type_ in new.items():
            fields = {**old[name].fields, **type_.fields} if name in old else type_.fields
            result[name] = msgspec.structs.replace(type_, fields=fields)
        return result

    return Catalog(types=types(before.types, now.types), extensions=types(before.extensions, now.extensions))
