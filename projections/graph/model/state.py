"""What the model stores, and how it folds: event by event, without coalescing, each rule once and plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref
from projections.checkpoint import START, Checkpoint
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.catalog_history import BUILTIN, CatalogHistory, fillings, shape
from projections.graph.fold import Entity, FoldedTransaction, forgotten_transactions, transactions
from projections.graph.relation import is_exclusive, is_symmetric
from projections.graph.values import stored_value
from projections.retention import TRANSACTION_DAYS

__all__ = ["Frozen", "ModelState"]


class Frozen(msgspec.Struct, frozen=True):
    """All that a model has folded, as it is stored in a file. `at`: epoch, sequence and digest of the last event.
    `entities`: type, id, version and fields (None: deleted). `links`: type, id and field of the source, type and id of
    the target."""

    at: tuple[str, int, str]
    history: CatalogHistory
    entities: list[tuple[str, str, int, dict[str, Any] | None]]
    links: list[tuple[str, str, str, str, str]]
    transactions: list[tuple[str, str, int, dict[str, Any], float]]

    @property
    def checkpoint(self) -> Checkpoint:
        """Without a running hash."""
        epoch, sequence, tip = self.at
        return Checkpoint(epoch, sequence, 0, tip=int(tip, 16))


class ModelState:
    """Everything that was folded. `builtin`: core's own types. `only`: keep only this app's entities, beside all
    catalogs."""

    name = "model"
    version = 1

    def __init__(self, builtin: Catalog, *, only: str = "") -> None:
        self.checkpoint: Checkpoint = START
        self._builtin, self._only = builtin, only
        self._history = CatalogHistory().declare(BUILTIN, builtin)
        self.catalog, self._stored = self._history.visible(), self._history.stored()
        self._versions: dict[Entity, int] = {}
        self._fields: dict[Entity, dict[str, Any]] = {}  # for existing entities
        self._links: set[tuple[Entity, str, Entity]] = set()  # under the written field
        self._transactions: dict[str, FoldedTransaction] = {}

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        if self.checkpoint.epoch not in ("", epoch):
            raise Corrupt(f"this view was folded from the log {self.checkpoint.epoch}, and this is the log {epoch}")
        new = [event for event in events if event.sequence > self.checkpoint.sequence]
        kept = [event for event in new if event.ref.app == self._only] if self._only else new
        for members in transactions(kept):
            self._declare(members)
            for event in members:
                self._fold_node(event)
            for event in members:
                self._fold_links(event)
            first, last = members[0], members[-1]
            known = FoldedTransaction(first.tx, first.request, last.sequence, first.result, last.time)
            self._transactions[first.tx] = known
            self._transactions.update((one.tx, one) for one in forgotten_transactions(members))
        if kept:
            newest = max(known.time for known in self._transactions.values())
            self._transactions = {
                tx: known for tx, known in self._transactions.items() if known.time >= newest - TRANSACTION_DAYS * 86400
            }
        if new:
            self.checkpoint = self.checkpoint.after(epoch, new)
        return self.checkpoint

    def stand_at(self, checkpoint: Checkpoint) -> None:
        """Set the position, for a reader that was given only a part of the log."""
        self.checkpoint = checkpoint

    def stored(self, ref: Ref) -> Mapping[str, Any] | None:
        """The scalars of an entity; None if it does not exist."""
        return self._fields.get(Entity(f"{ref.app}/{ref.type}", ref.id))

    def sequence_of(self, ref: Ref) -> int:
        """The sequence of an entity's last event; 0 if it never existed."""
        return self._versions.get(Entity(f"{ref.app}/{ref.type}", ref.id), 0)

    def refs(self) -> list[Ref]:
        """References to all existing entities."""
        return [Ref.parse(f"{entity.type}/{entity.id}") for entity in self._fields]

    def freeze(self) -> Frozen:
        at = self.checkpoint
        return Frozen(
            (at.epoch, at.sequence, f"{at.tip:x}"), self._history,
            [(type, id, version, self._fields.get(Entity(type, id))) for (type, id), version in self._versions.items()],
            [(one.type, one.id, field, other.type, other.id) for one, field, other in self._links],
            [(one.tx, one.request, one.sequence, dict(one.result), one.time) for one in self._transactions.values()],
        )  # fmt: skip

    def thaw(self, frozen: Frozen) -> bool:
        """Restore a frozen state; returns False, and restores nothing, if it was folded with other core types."""
        declared = frozen.history.apps.get(BUILTIN)
        if declared is None or declared.now != self._builtin:
            return False
        self.checkpoint, self._history = frozen.checkpoint, frozen.history
        self.catalog, self._stored = self._history.visible(), self._history.stored()
        self._versions = {Entity(type, id): version for type, id, version, _ in frozen.entities}
        self._fields = {Entity(type, id): dict(fields) for type, id, _, fields in frozen.entities if fields is not None}
        self._links = {
            (Entity(type, id), field, Entity(target, other)) for type, id, field, target, other in frozen.links
        }
        self._transactions = {known[0]: FoldedTransaction(*known) for known in frozen.transactions}
        return True

    def _declare(self, members: Sequence[StoredEvent]) -> None:
        before, after = self._stored, self._history.after(members)
        if after is self._history:
            return
        filled = fillings(self._history.visible(), after.visible())
        self._history, self.catalog, self._stored = after, after.visible(), after.stored()
        for name, type_ in self._stored.types.items():
            for field in type_.fields.values():
                old = before.types[name].fields.get(field.name) if name in before.types else None
                if old is not None and shape(old) != shape(field):
                    self._forget_field(name, field.name)
        for entity, fields in self._fields.items():
            for name, value in filled.get(entity.type, {}).items():
                fields.setdefault(name, stored_value(self._stored.types[entity.type].fields[name], value))

    def _forget_field(self, type: str, field: str) -> None:
        for entity, fields in self._fields.items():
            if entity.type == type:
                fields.pop(field, None)
        self._links = {link for link in self._links if (link[0].type, link[1]) != (type, field)}

    def _fold_node(self, event: StoredEvent) -> None:
        entity = Entity(f"{event.ref.app}/{event.ref.type}", event.ref.id)
        if entity.type not in self._stored.types:
            return
        self._versions[entity] = event.sequence
        if event.kind is not Kind.UPDATED:
            self._fields.pop(entity, None)
            self._links = {link for link in self._links if entity not in (link[0], link[2])}
        if event.change.purged is not None:
            self._release(entity, event.change.purged.released)
        if event.kind is Kind.CREATED:
            self._fields[entity] = {}
        if entity not in self._fields:
            return
        scalars = {name: field for name, field in self._definitions(entity).items() if not field.is_relation}
        for name in event.change.unset:
            self._fields[entity].pop(name, None)
        for name, value in event.change.set.items():
            if name in scalars:
                self._fields[entity][name] = stored_value(scalars[name], value)
                if self._fields[entity][name] is None:
                    del self._fields[entity][name]

    def _release(self, entity: Entity, released: Mapping[str, Sequence[str]]) -> None:
        fields = self._stored.types[entity.type].fields
        for name, targets in released.items():
            if name in fields and is_exclusive(self._stored, fields[name]):
                for target in (Entity(fields[name].target, id) for id in targets):
                    ends = (target,) if is_symmetric(entity.type, fields[name]) else ()
                    self._links = {
                        link
                        for link in self._links
                        if (link[0].type, *link[1:]) != (entity.type, name, target)
                        and not (link[0] in ends and link[1] == name)
                    }

    def _fold_links(self, event: StoredEvent) -> None:
        source = Entity(f"{event.ref.app}/{event.ref.type}", event.ref.id)
        if source not in self._fields:
            return
        written = {name: field for name, field in self._definitions(source).items() if field.written}
        for name in event.change.unset:
            if name in written:
                self._links = {link for link in self._links if link[:2] != (source, name)}
        for name, targets in event.change.unlink.items():
            for target in targets if name in written else ():
                for one, other in _directions(source, written[name], target):
                    self._links.discard((one, name, other))
        for name, targets in event.change.link.items():
            for target in targets if name in written else ():
                for one, other in _directions(source, written[name], target):
                    self._link(one, written[name], other)

    def _link(self, source: Entity, field: FieldDef, target: Entity) -> None:
        if source not in self._fields:
            return
        if not field.many:
            self._links = {link for link in self._links if link[:2] != (source, field.name)}
        if target not in self._fields:
            return
        if is_exclusive(self._stored, field):
            self._links = {
                link for link in self._links if (link[0].type, *link[1:]) != (source.type, field.name, target)
            }
        self._links.add((source, field.name, target))

    def _definitions(self, entity: Entity) -> Mapping[str, FieldDef]:
        return self._stored.types[entity.type].fields


def _directions(source: Entity, field: FieldDef, target: str) -> list[tuple[Entity, Entity]]:
    other = Entity(field.target, target)
    return [(source, other), (other, source)] if is_symmetric(source.type, field) else [(source, other)]
