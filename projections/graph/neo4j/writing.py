"""Writes the net changes of a batch, one statement for each family of changes, in the order of `fold.Changes`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from neo4j import AsyncResult, AsyncTransaction

from pcloud.event import StoredEvent
from projections.graph.catalog import FieldDef
from projections.graph.catalog_history import fillings
from projections.graph.fold import Changes, Entity, FoldedTransaction, RowChange, fold, touched
from projections.graph.neo4j.connection import run
from projections.graph.neo4j.layout import Label, Layout, properties
from projections.graph.neo4j.names import quoted
from projections.graph.neo4j.state import State
from projections.graph.values import stored_value
from projections.retention import TRANSACTION_DAYS

__all__ = ["Writer", "write_parts"]

_encode = msgspec.json.Encoder().encode
SHAPES = 8  # kinds of changes to one label's nodes with a statement each; if there are more, one statement serves all
Rows = list[tuple[str, RowChange]]


def seek(alias: str, label: str, id: str) -> str:
    """Find the node of this id by its index; otherwise the planner may scan all nodes of a label for each row."""
    return f"MATCH ({alias}:{label} {{id: {id}}}) USING INDEX SEEK {alias}:{label}(id)"


class Writer:
    """Writes into one open transaction, for one layout."""

    def __init__(self, tx: AsyncTransaction, layout: Layout) -> None:
        self._tx, self._layout = tx, layout
        self._running: AsyncResult | None = None

    async def existing(self, touched: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Those of the ids that have a node."""
        found: dict[str, set[str]] = {}
        for type_, ids in touched.items():
            # As one record: the driver is slow at reading many.
            text = f"UNWIND $ids AS id {seek('n', self._label(type_).name, 'id')} RETURN collect(n.id)"
            record = await (await run(self._tx, text, {"ids": list(ids)})).single(strict=True)
            found[type_] = set(record[0])
        return found

    async def write(self, changes: Changes) -> None:
        by_type: dict[str, Rows] = defaultdict(list)
        for entity, row in changes.rows.items():
            by_type[entity.type].append((entity.id, row))
        for type_, rows in by_type.items():
            gone = [id for id, row in rows if row.removed]
            await self._each(f"{seek('n', self._label(type_).name, 'row')} DETACH DELETE n", gone)
        await self._release(changes.released)
        for type_, rows in by_type.items():
            await self._nodes(self._label(type_), rows)
        for type_, rows in by_type.items():
            await self._to_one(self._label(type_), rows)
        await self._edges(changes)
        await self._tombstones(changes.rows.items())
        await self._transactions(changes.transactions)
        await self.settle()

    async def forget_fields(self, lost: Iterable[tuple[Label, FieldDef]]) -> None:
        """Remove the stored values of fields that have another shape from here on."""
        for label, field in lost:
            if field.is_relation:
                await self._run(f"MATCH ()-[r:{self._layout.names.relation(label.type, field.name)}]->() DELETE r")
            else:
                parts = (field.name, f"{field.name}~words", f"{field.name}~start")
                names = ", ".join(f"n.{quoted(part)}" for part in parts)
                await self._run(f"MATCH (n:{label.name}) WHERE n.{quoted(field.name)} IS NOT NULL REMOVE {names}")

    async def settle_words(self, before: Layout) -> None:
        """Where a field is searched in another way from here on, store beside its values what that needs."""
        for label in self._layout.labels.values():
            old = before.labels.get(label.type)
            for field in label.scalars.values() if old else ():
                was = old.scalars.get(field.name) if old else None
                if was is None or (was.search, was.is_id) == (field.search, field.is_id) or field.many:
                    continue
                text = f"MATCH (n:{label.name}) WHERE n.{quoted(field.name)} IS NOT NULL RETURN n.id, n.{quoted(field.name)}"
                found = await (await run(self._tx, text)).values()
                rows = [{"id": id, "set": properties(label, {field.name: value})} for id, value in found]
                await self._each(f"{seek('n', label.name, 'row.id')} SET n += row.set", rows)

    async def fill(self, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        """Give each of these fields, by type and name, its default where an entity has no value."""
        for type_, fields in defaults.items():
            label = self._label(type_)
            for name, default in fields.items():
                values = properties(label, {name: stored_value(label.scalars[name], default)})
                await self._run(
                    f"MATCH (n:{label.name}) WHERE n.{quoted(name)} IS NULL SET n += $values", {"values": values}
                )

    # --- families --------------------------------------------------------------------------------------------------------------------

    def _label(self, type: str) -> Label:
        return self._layout.labels[type]

    async def _run(self, text: str, parameters: Mapping[str, Any] | None = None) -> None:
        await (await run(self._tx, text, parameters)).consume()

    async def _each(self, text: str, rows: Sequence[Any]) -> None:
        """Does not wait for the end: the server works on it while the next statement's rows are prepared."""
        if rows:
            running = await run(self._tx, f"UNWIND $rows AS row {text}", {"rows": rows})
            await self.settle()
            self._running = running

    async def settle(self) -> None:
        """Wait for the last statement's end."""
        if self._running is not None:
            running, self._running = self._running, None
            await running.consume()

    async def _release(self, released: Iterable[tuple[str, str, str]]) -> None:
        targets: dict[tuple[str, str], list[str]] = defaultdict(list)
        for type_, field, target in released:
            targets[type_, field].append(target)
        for (type_, field), ids in targets.items():
            relation = self._layout.names.relation(type_, field)
            target = self._target(type_, field)
            await self._each(f"{seek('m', target, 'row')} MATCH (m)<-[r:{relation}]-() DELETE r", ids)

    def _target(self, type: str, field: str) -> str:
        return self._label(self._label(type).relations[field].target).name

    async def _nodes(self, label: Label, rows: Rows) -> None:
        made: list[dict[str, Any]] = []
        changed: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for id, row in rows:
            if not row.exists:
                continue
            values = properties(label, row.values)
            if row.version:
                values["_version"] = row.version
            if row.fresh:
                made.append({"id": id, **values})
            elif values:
                changed[tuple(values)].append({"id": id, **values})
        await self._create(label, made)
        for names, members in changed.items():
            if len(changed) <= SHAPES:
                wanted = ", ".join(f"n.{quoted(name)} = row[{at}]" for at, name in enumerate(names, 1))
                lists = [list(one.values()) for one in members]
                await self._each(f"{seek('n', label.name, 'row[0]')} SET {wanted}", lists)
        if len(changed) > SHAPES:
            maps = [one for members in changed.values() for one in members]
            await self._each(f"{seek('n', label.name, 'row.id')} SET n += row", maps)

    async def _create(self, label: Label, made: Sequence[Mapping[str, Any]]) -> None:
        """With the names in the text and the values in lists: maps would send each name with each node and have it
        looked up."""
        names = ("id", *sorted({name for one in made for name in one} - {"id"}))
        wanted = ", ".join(f"{quoted(name)}: row[{at}]" for at, name in enumerate(names))
        await self._each(f"CREATE (:{label.name} {{{wanted}}})", [[one.get(name) for name in names] for one in made])

    async def _to_one(self, label: Label, rows: Rows) -> None:
        cleared: dict[str, list[str]] = defaultdict(list)
        linked: dict[str, list[list[str]]] = defaultdict(list)
        unlinked: dict[str, list[list[str]]] = defaultdict(list)
        for id, row in rows:
            if not row.exists:
                continue
            for field, target in row.unlinked:
                unlinked[field].append([id, target])
            for field in row.values.keys() & label.relations.keys():
                if not row.fresh:
                    cleared[field].append(id)
                if row.values[field] is not None:
                    linked[field].append([id, row.values[field]])
        for field in {**unlinked, **cleared, **linked}:
            relation = self._layout.names.relation(label.type, field)
            await self._unlink(label.type, field, unlinked[field])
            await self._each(f"{seek('n', label.name, 'row')} MATCH (n)-[r:{relation}]->() DELETE r", cleared[field])
            await self._link("CREATE", label.type, field, linked[field])

    async def _edges(self, changes: Changes) -> None:
        emptied: dict[tuple[str, str], list[str]] = defaultdict(list)
        for type_, field, source in changes.emptied:
            emptied[type_, field].append(source)
        for (type_, field), ids in emptied.items():
            relation = self._layout.names.relation(type_, field)
            await self._each(f"{seek('n', self._label(type_).name, 'row')} MATCH (n)-[r:{relation}]->() DELETE r", ids)
        for (type_, field), pairs in changes.edges.items():
            await self._unlink(type_, field, [list(pair) for pair, there in pairs.items() if not there])
            await self._link("MERGE", type_, field, [list(pair) for pair, there in pairs.items() if there])

    async def _unlink(self, type: str, field: str, pairs: list[list[str]]) -> None:
        relation, target = self._layout.names.relation(type, field), self._target_of(type, field)
        if pairs and target:
            ends = f"{seek('n', self._label(type).name, 'row[0]')} {seek('m', target, 'row[1]')}"
            text = f"{ends} WITH n, m MATCH (n)-[r:{relation}]->(m) DELETE r"
            await self._each(text, pairs)

    async def _link(self, how: str, type: str, field: str, pairs: list[list[str]]) -> None:
        if pairs:
            relation, target = self._layout.names.relation(type, field), self._target(type, field)
            ends = f"{seek('n', self._label(type).name, 'row[0]')} {seek('m', target, 'row[1]')}"
            text = f"{ends} {how} (n)-[:{relation}]->(m)"
            await self._each(text, pairs)

    def _target_of(self, type: str, field: str) -> str | None:
        """None if the target's type was never declared: nothing is linked to it."""
        target = self._layout.labels.get(self._label(type).relations[field].target)
        return target.name if target else None

    async def _tombstones(self, rows: Iterable[tuple[Entity, RowChange]]) -> None:
        """The versions of deleted entities: the log checks them when such an entity is made again."""
        label = self._layout.names.tombstone
        made: list[str] = []
        gone: list[dict[str, Any]] = []
        for entity, row in rows:
            if row.exists and not row.existed:
                made.append(f"{entity.type}/{entity.id}")
            elif not row.exists and row.version:
                gone.append({"entity": f"{entity.type}/{entity.id}", "version": row.version})
        await self._each(f"MATCH (t:{label} {{entity: row}}) DELETE t", made)
        await self._each(f"MERGE (t:{label} {{entity: row.entity}}) SET t.version = row.version", gone)

    async def _transactions(self, transactions: Iterable[FoldedTransaction]) -> None:
        label = self._layout.names.transaction
        # If a transaction comes twice in a batch, the last one counts.
        rows = {
            tx: [tx, request, sequence, _encode(result).decode(), time]
            for tx, request, sequence, result, time in transactions
        }
        values = "t.request = row[1], t.sequence = row[2], t.result = row[3], t.time = row[4]"
        await self._each(f"MERGE (t:{label} {{tx: row[0]}}) SET {values}", list(rows.values()))
        newest = f"MATCH (t:{label}) WHERE t.time IS NOT NULL WITH t.time AS newest ORDER BY newest DESC LIMIT 1"
        await self._run(
            f"{newest} MATCH (t:{label}) WHERE t.time < newest - $seconds DELETE t",
            {"seconds": TRANSACTION_DAYS * 86400.0},
        )


async def write_parts(tx: AsyncTransaction, before: State, parts: list[tuple[list[StoredEvent], State]]) -> None:
    """Write a batch, as `state.cut` returns it."""
    at = before
    for members, state in parts:
        writer = Writer(tx, state.layout)
        if state.history is not at.history:
            await writer.forget_fields(at.layout.lost(state.layout))
            await writer.settle_words(at.layout)
            await writer.fill(fillings(at.catalog, state.catalog))
        known = await writer.existing(touched(members, state.stored))
        await writer.write(await asyncio.to_thread(fold, members, state.stored, known))
        at = state
