"""The fold: whole transactions become the net change of each row and each link. Pure: no I/O, the same for every store.

Each transaction is folded in two passes, first its entities, then its links. A link to an entity that does not exist at that
moment folds to nothing (on a to-one relation it still removes the earlier link). Folding in order requires knowing
which entities exist, so the store reports that for those that `touched` names. With that, the changes of a batch
coalesce exactly, and a store writes them in the order of the fields of `Changes`: the result does not depend on how the
log was cut into batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from pcloud.event import Kind, StoredEvent
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.relation import is_exclusive, is_symmetric
from projections.graph.values import fitting

__all__ = [
    "FORGOTTEN_RESULT",
    "Changes",
    "Entity",
    "FoldedTransaction",
    "RowChange",
    "fold",
    "forgotten_transactions",
    "touched",
    "transactions",
]  # fmt: skip

_CREATED, _DELETED, _FORGOTTEN = Kind.CREATED, Kind.DELETED, Kind.FORGOTTEN  # a look-up takes time
FORGOTTEN_RESULT: Mapping[str, Any] = {"": ["forgotten"]}
"""The answer of a transaction with a forgotten entity: the real answer named that entity, so it is not returned
again."""


class Entity(NamedTuple):
    """One entity by its stored type (`app/Type`) and id."""

    type: str
    id: str


@dataclass(slots=True)
class RowChange:
    """A batch's change of one entity. `version`: the new one, 0 if it stays (a link made at the other end changes no
    version). `values`: scalars and to-one links by field; None removes one.

    `existed`/`exists`: before and after the batch. `fresh`: the entity is a new row, and any earlier one is removed
    first. `unlinked`: to-one links (field, target) to remove if they are stored.
    """

    version: int
    existed: bool
    exists: bool
    fresh: bool = False
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    unlinked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def removed(self) -> bool:
        return self.existed and (self.fresh or not self.exists)


class FoldedTransaction(NamedTuple):
    """What is stored of a transaction to answer it again: `sequence` and `time` (seconds since 1970) of its last
    event."""

    tx: str
    request: str
    sequence: int
    result: Mapping[str, Any]
    time: float


@dataclass(slots=True)
class Changes:
    """The net effect of a batch. Write it in this order: removed rows (with all links to them), `released`, rows,
    edges.

    `released`: (type, field, target) of one-to-one links: remove any stored link to the target. `emptied`: (type,
    field, source) of to-many links to remove completely. `edges`: by written relation, (source, target) → whether it
    shall exist.
    """

    rows: dict[Entity, RowChange] = field(default_factory=dict[Entity, RowChange])
    released: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    emptied: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    edges: dict[tuple[str, str], dict[tuple[str, str], bool]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], dict[tuple[str, str], bool]](dict)
    )
    transactions: list[FoldedTransaction] = field(default_factory=list[FoldedTransaction])


def transactions(events: Iterable[StoredEvent]) -> Iterable[list[StoredEvent]]:
    """The events, one transaction after the other."""
    return (list(members) for _, members in groupby(events, key=lambda event: event.tx))


def touched(events: Iterable[StoredEvent], catalog: Catalog) -> dict[str, set[str]]:
    """By type, the ids whose existence `fold` needs to know."""
    ids: dict[str, set[str]] = defaultdict(set)
    for event in events:
        app, type, id = event.ref
        name = f"{app}/{type}"
        if (type_ := catalog.types.get(name)) is None:
            continue
        ids[name].add(id)
        change = event.change
        if not change.link and change.purged is None:
            continue
        released = change.purged.released if change.purged is not None else {}
        for relation, targets in (*change.link.items(), *released.items()):
            definition = type_.fields.get(relation)
            if definition is not None and definition.target in catalog.types:
                ids[definition.target].update(targets)
    return ids


def fold(events: Sequence[StoredEvent], catalog: Catalog, existing: Mapping[str, set[str]]) -> Changes:
    """The net change of whole transactions. `existing`: those ids of `touched` that exist before them.

    Types and fields that the catalog does not have fold to nothing.
    """
    staging = _Staging(catalog, existing)
    for members in transactions(events):
        for event in members:
            staging.entity(event)
        for event in members:
            change = event.change
            if change.link or change.unlink or change.unset:
                staging.links(event)
        first, last = members[0], members[-1]
        staging.changes.transactions.append(
            FoldedTransaction(first.tx, first.request, last.sequence, first.result, last.time)
        )
        staging.changes.transactions += forgotten_transactions(members)
    return staging.changes


def forgotten_transactions(members: Iterable[StoredEvent]) -> Iterable[FoldedTransaction]:
    """What stays known of the transactions of purged events, whether or not those events are still on the log."""
    for event in members:
        if event.change.purged is not None:
            for tx, request, sequence, time in event.change.purged.transactions:
                yield FoldedTransaction(tx, request, sequence, FORGOTTEN_RESULT, time)


class _Staging:
    """The state of a batch so far. Its links can be found by the entity at either end, for when that entity is
    removed."""

    def __init__(self, catalog: Catalog, existing: Mapping[str, set[str]]) -> None:
        self._catalog, self._existing = catalog, existing
        self.changes = Changes()
        self._made: list[tuple[Entity, str, Entity]] = []  # to-one links: source, field, target
        self._by_target: dict[Entity, set[tuple[Entity, str]]] = defaultdict(set)  # those that were looked up so far
        self._edges_of: dict[Entity, set[tuple[str, str, str, str]]] = defaultdict(set)
        self._fitting: dict[str, dict[str, Callable[[Any], Any]]] = {}  # by type and scalar field
        self._exclusive: dict[tuple[str, str], bool] = {}  # by type and to-one relation

    def entity(self, event: StoredEvent) -> None:
        app, type, id = event.ref
        entity = Entity(f"{app}/{type}", id)
        type_ = self._catalog.types.get(entity.type)
        if type_ is None:
            return
        row, kind, change = self._row(entity), event.kind, event.change
        row.version = event.sequence
        if kind is _DELETED or kind is _FORGOTTEN:
            self._remove(entity, row)
            if change.purged is not None:
                self._release(type_, change.purged.released)
            return
        if kind is _CREATED:
            if row.exists:
                self._remove(entity, row)
            row.exists = row.fresh = True
        if not row.exists:
            return
        scalars, values = self._scalars(type_), row.values
        for name in change.unset:
            if name in scalars:
                values[name] = None
        for name, value in change.set.items():
            if (fit := scalars.get(name)) is not None:
                values[name] = fit(value)

    def _scalars(self, type_: TypeDef) -> dict[str, Callable[[Any], Any]]:
        if (known := self._fitting.get(type_.name)) is None:
            fields = type_.fields.items()
            known = self._fitting[type_.name] = {name: fitting(one) for name, one in fields if not one.is_relation}
        return known

    def _release(self, type_: TypeDef, released: Mapping[str, Sequence[str]]) -> None:
        """Free the targets that a forgotten entity took from others. If its links were never read, the others still
        have them."""
        for name, targets in released.items():
            definition = type_.fields.get(name)
            if definition is None or not is_exclusive(self._catalog, definition):
                continue
            for target in targets:
                other = Entity(definition.target, target)
                self._let_go(type_.name, name, other)
                if is_symmetric(type_.name, definition) and self._exists(other):
                    self._row(other).values[name] = None

    def _let_go(self, type: str, name: str, target: Entity) -> None:
        """Remove any link of this type and field that points to the target."""
        self.changes.released.add((type, name, target.id))
        for source, field_name in self._pointing().get(target, ()):
            if field_name == name and self.changes.rows[source].values.get(name) == target.id:
                self.changes.rows[source].values[name] = None

    def links(self, event: StoredEvent) -> None:
        source = Entity(f"{event.ref.app}/{event.ref.type}", event.ref.id)
        type_ = self._catalog.types.get(source.type)
        if type_ is None or not self._exists(source):
            return
        change = event.change
        for name in change.unset:
            if (definition := type_.fields.get(name)) is not None and definition.written:
                self._empty(source, name, definition.many)
        for name, targets in change.unlink.items():
            if (definition := type_.fields.get(name)) is not None and definition.written:
                for target in targets:
                    for one, other in _directions(source, definition, target):
                        self._unlink(one, name, definition.many, other)
        for name, targets in change.link.items():
            if (definition := type_.fields.get(name)) is not None and definition.written:
                for target in targets:
                    for one, other in _directions(source, definition, target):
                        self._link(one, name, definition, other)

    def _row(self, entity: Entity) -> RowChange:
        row = self.changes.rows.get(entity)
        if row is None:
            exists = entity.id in self._existing.get(entity.type, ())
            row = self.changes.rows[entity] = RowChange(version=0, existed=exists, exists=exists)
        return row

    def _exists(self, entity: Entity) -> bool:
        row = self.changes.rows.get(entity)
        return entity.id in self._existing.get(entity.type, ()) if row is None else row.exists

    def _remove(self, entity: Entity, row: RowChange) -> None:
        row.exists = row.fresh = False
        row.values.clear()
        row.unlinked.clear()
        for source, name in self._pointing().pop(entity, ()):
            pointing = self.changes.rows[source]
            if pointing.values.get(name) == entity.id:
                pointing.values[name] = None
        for type_, name, source_id, target_id in self._edges_of.pop(entity, ()):
            self.changes.edges[type_, name].pop((source_id, target_id), None)

    def _pointing(self) -> dict[Entity, set[tuple[Entity, str]]]:
        """The to-one links made so far, by target; built when first needed, as few batches look for one."""
        for source, name, target in self._made:
            self._by_target[target].add((source, name))
        self._made.clear()
        return self._by_target

    def _empty(self, source: Entity, name: str, many: bool) -> None:
        if not many:
            self._row(source).values[name] = None
            return
        self.changes.emptied.add((source.type, name, source.id))
        edges = self.changes.edges[source.type, name]
        for pair in [pair for pair in edges if pair[0] == source.id]:
            del edges[pair]

    def _unlink(self, source: Entity, name: str, many: bool, target: Entity) -> None:
        if many:
            self.changes.edges[source.type, name][source.id, target.id] = False
            return
        if not self._exists(source):
            return
        row = self._row(source)
        if row.values.get(name) == target.id:
            row.values[name] = None
        elif name not in row.values and not row.fresh:
            row.unlinked.append((name, target.id))

    def _link(self, source: Entity, name: str, definition: FieldDef, target: Entity) -> None:
        if not self._exists(source):
            return
        exists = self._exists(target)
        if definition.many:
            if exists:
                self.changes.edges[source.type, name][source.id, target.id] = True
                for end in (source, target):
                    self._edges_of[end].add((source.type, name, source.id, target.id))
            return
        if exists and self._takes_away(source.type, definition):
            self._let_go(source.type, name, target)
        self._row(source).values[name] = target.id if exists else None
        if exists:
            self._made.append((source, name, target))

    def _takes_away(self, type: str, definition: FieldDef) -> bool:
        key = type, definition.name
        if (known := self._exclusive.get(key)) is None:
            known = self._exclusive[key] = is_exclusive(self._catalog, definition)
        return known


def _directions(source: Entity, definition: FieldDef, target: str) -> Iterable[tuple[Entity, Entity]]:
    other = Entity(definition.target, target)
    if is_symmetric(source.type, definition) and other != source:
        return (source, other), (other, source)
    return ((source, other),)
