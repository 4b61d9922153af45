"""The inverse of one entity's update: its earlier values and links. Pure."""

from __future__ import annotations

from typing import Any

from core.graph.command.change import EntityChange
from pcloud.event import StoredEvent
from projections.graph.catalog import TypeDef
from projections.graph.contract import EntityState

__all__ = ["inverse_of_update"]


def inverse_of_update(event: StoredEvent, type_: TypeDef, before: EntityState, seen: int) -> EntityChange:
    """`before`: the entity before the update; `seen`: its current version. Fields that the type no longer has are skipped."""
    change = event.change
    values: dict[str, Any] = {}
    link: dict[str, list[str]] = {}
    unlink: dict[str, list[str]] = {}
    clear: list[str] = []
    for name in sorted(change.fields):
        one = type_.fields.get(name)
        if one is None:
            continue
        had = list(before.links.get(name, ()))
        if not one.is_relation:
            values[name] = before.fields.get(name)
        elif not one.many:
            if had:
                link[name] = had
            else:
                clear.append(name)
        else:
            if added := [id for id in change.link.get(name, ()) if id not in had]:
                unlink[name] = added
            taken = had if name in change.unset else change.unlink.get(name, ())
            if back := [id for id in taken if id in had and id not in change.link.get(name, ())]:
                link[name] = back
    return EntityChange(event.ref, "update", set=values, link=link, unlink=unlink, clear=clear, seen=seen)
