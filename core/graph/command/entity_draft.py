"""One entity while a transaction is staged: its state in the snapshot, its state afterwards, and the one event between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from core.graph.schema.scalar import canonical
from pcloud.errors import Rejected
from pcloud.event import Change, Event, Kind
from projections.graph.catalog import FieldDef, TypeDef
from projections.graph.contract import EntityState

__all__ = ["MAX_LIST", "EntityDraft"]

MAX_LIST = 10_000


@dataclass
class EntityDraft:
    """`values` and `links` hold only what the transaction changes, in the new state."""

    stored: EntityState
    type: TypeDef
    created: bool = False
    deleted: bool = False
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    links: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])

    @property
    def exists(self) -> bool:
        return not self.deleted and (self.created or self.stored.exists)

    def field(self, name: str) -> FieldDef:
        if (found := self.type.fields.get(name)) is None:
            raise Rejected(f"the type {self.type.name!r} has no field {name!r}")
        return found

    def value(self, name: str) -> Any:
        return self.values[name] if name in self.values else self._before(name)

    def _before(self, name: str) -> Any:
        return self.stored.fields.get(name) if self.stored.exists else None

    # --- scalars -----------------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Create the entity in this transaction, with its type's defaults."""
        self.created = True
        for name, one in self.type.fields.items():
            if one.default is not None and name not in self.values:
                self.values[name] = one.default

    def set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            one = self.field(name)
            if one.is_relation:
                raise Rejected(f"{name!r} of {self.type.name!r} is a relation: link it instead of setting it")
            checked = None if value is None else _checked(one, value, f"{self.type.name}.{name}")
            if one.is_id and not self.created and checked != self.value(name):
                raise Rejected(
                    f"{name!r} identifies the {self.type.name!r}: it can't be changed, add another one instead"
                )
            self.values[name] = checked

    def discard(self, values: Mapping[str, Any]) -> None:
        """Remove values if they are the stored ones; None removes any."""
        for name, value in values.items():
            one, stored = self.field(name), self.value(name)
            if value is None or stored is None:
                self.set({name: None})
                continue
            unwanted = _checked(one, value, f"{self.type.name}.{name}")
            if one.many:
                self.set({name: [item for item in stored if item not in unwanted] or None})
            elif stored == unwanted:
                self.set({name: None})

    # --- links of written ends -----------------------------------------------------------------------------------------------

    def linked(self, name: str) -> dict[str, None]:
        """Return the ids under a written relation field as they will be; the caller may change the dict in place."""
        if name not in self.links:
            before = self.stored.links.get(name, ()) if self.stored.exists else ()
            self.links[name] = dict.fromkeys(before)
        return self.links[name]

    def link(self, name: str, ids: Iterable[str]) -> None:
        target = self.linked(name)
        for id in ids:
            if not self.field(name).many:
                target.clear()
            target[id] = None

    def unlink(self, name: str, ids: Iterable[str]) -> None:
        target = self.linked(name)
        for id in ids:
            target.pop(id, None)

    # --- the result --------------------------------------------------------------------------------------------------------------

    def event(self) -> Event | None:
        """Return the event, or None if nothing changes. Raises `Rejected` if a required field would be without a value."""
        ref, expected = self.stored.ref, self.stored.version
        if self.deleted:
            return Event(ref, Kind.DELETED, Change(), expected) if self.stored.exists else None
        self._check_required()
        change = self._change()
        if self.created:
            return Event(ref, Kind.CREATED, change, expected)
        return None if change.is_empty else Event(ref, Kind.UPDATED, change, expected)

    def new_links(self) -> Iterable[tuple[FieldDef, str]]:
        """Yield each link that this transaction makes."""
        for name, ids in self.links.items():
            before = self.stored.links.get(name, ()) if self.stored.exists else ()
            for id in ids:
                if id not in before:
                    yield self.type.fields[name], id

    def _change(self) -> Change:
        changed = {name: value for name, value in self.values.items() if value != self._before(name)}
        link: dict[str, list[str]] = {}
        unlink: dict[str, list[str]] = {}
        for name, ids in self.links.items():
            before = dict.fromkeys(self.stored.links.get(name, ()) if self.stored.exists else ())
            if added := [id for id in ids if id not in before]:
                link[name] = added
            removed = [id for id in before if id not in ids]
            if removed and (self.type.fields[name].many or not ids):  # a new link replaces the old one
                unlink[name] = removed
        return Change(
            set={name: value for name, value in changed.items() if value is not None},
            unset=[name for name, value in changed.items() if value is None],
            link=link,
            unlink=unlink,
        )

    def _check_required(self) -> None:
        for name in self.type.fields if self.created else (*self.values, *self.links):
            one = self.type.fields[name]
            if not one.required or (one.is_relation and not one.written):
                continue
            missing = not self.linked(name) if one.is_relation else self.value(name) is None
            if missing:
                raise Rejected(f"{name!r} of {self.type.name!r} must have a value: give it one")


def _checked(one: FieldDef, value: Any, place: str) -> Any:
    if not one.many:
        return canonical(one.kind or "String", value, one.values, place=place)
    if not isinstance(value, list | tuple):
        raise Rejected(f"{place}: want a list, not {value!r}")
    items = cast("Sequence[Any]", value)
    if len(items) > MAX_LIST:
        raise Rejected(f"{place}: a list of {len(items)} values, {MAX_LIST} are allowed")
    return [canonical(one.kind or "String", item, one.values, place=place) for item in items]
