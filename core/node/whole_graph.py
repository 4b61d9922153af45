"""Reads the whole graph at one revision, for an export, while the node goes on.

The log is folded again, beside the graph that answers queries, into a file of its own. So a slow reader delays nothing, all nodes are of
one revision, and the store in use does not matter. The next start removes that file if the node was killed. Nodes of core's own types
(apps, grants, devices, sessions) are not part of it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from core.graph.schema.declared import declared_text
from core.graph.schema.names import owner_field, owner_type
from core.node.folder import DataFolder
from core.node.graphs import Graphs
from eventstore import EventStore
from pcloud.errors import Rejected
from pcloud.revision import Revision
from pcloud.subject import Ref, TypeName, split_name
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.refill import refill

__all__ = ["WholeGraph"]

PAGE = 100  # nodes in memory
AT_ONCE = 500  # linked nodes that are read together

Record = dict[str, Any]


class WholeGraph:
    """One reader at a time."""

    def __init__(self, store: EventStore, graphs: Graphs, folder: DataFolder) -> None:
        self._store, self._graphs, self._folder = store, graphs, folder
        self._busy = False

    async def records(self, apps: Mapping[str, str]) -> AsyncGenerator[Record]:
        """Yield `{"step", "detail"}` while the log is folded, one `{"graph"}`, and `{"type", "node"}` for each node by type and id.

        `apps`: their versions. A node is `{"id", "fields", "relations"}`. If its type has an `@id` field, the node's id is that field's
        value, because each cloud derives ids of its own from it. A relation is given once, under its written end. Raises `Rejected` if
        another export is reading, and `Unavailable` if there is no room for a second graph."""
        if self._busy:
            raise Rejected("another export is reading the graph: wait for its end")
        self._busy = True
        scratch = self._folder.export
        try:
            self._folder.disk_space.check("a copy of the graph to export", self._graphs.rebuilds.size)
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=0o700)
            async with aclosing(self._read(scratch, apps)) as found:
                async for record in found:
                    yield record
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            self._busy = False

    async def _read(self, scratch: Path, apps: Mapping[str, str]) -> AsyncGenerator[Record]:
        copy = await open_sqlite_graph(scratch / "graph.sqlite")
        try:
            await copy.begin_filling()  # never ended: it is read by id only, and lasts as long as this export
            last = self._graphs.switch.checkpoint.sequence
            yield {"step": "folding", "detail": f"{last:,} events of the log"}
            async with self._folder.disk_space.kept("the copy of the graph"):
                await refill(self._store, copy, last)
            at = copy.checkpoint
            types = copy.catalog.types
            yield {
                "graph": {
                    "revision": str(Revision(at.epoch or self._store.epoch, at.sequence)),
                    "cloud": hashlib.sha256(b"pcloud export of " + self._store.id_key).hexdigest()[:16],
                    "apps": dict(apps),
                    "types": {owner_type(name): _described(type_, types) for name, type_ in sorted(types.items())},
                    "schema": declared_text(copy.catalog),
                }
            }
            for name in sorted(types):
                async for node in _nodes(copy, types[name]):
                    yield {"type": owner_type(name), "node": node}
        finally:
            await copy.close()


def _described(type_: TypeDef, types: Mapping[str, TypeDef]) -> Record:
    fields = {owner_field(one.name): _field(type_, one) for one in type_.fields.values() if _is_given(one, types)}
    return {"app": split_name(type_.name)[0], "id": type_.id_field.name if type_.id_field else "", "fields": fields}


def _field(type_: TypeDef, one: FieldDef) -> Record:
    target = owner_type(one.target) if one.is_relation else ""
    app = split_name(one.name)[0] or split_name(type_.name)[0]
    return {"app": app, "many": one.many, "kind": one.kind or "", "target": target}


def _is_given(one: FieldDef, types: Mapping[str, TypeDef]) -> bool:
    return not one.is_relation or ((one.written or not one.inverse) and one.target in types)


async def _nodes(copy: SqliteGraph, type_: TypeDef) -> AsyncGenerator[Record]:
    after = ""
    while page := await copy.page(type_.name, after, PAGE):
        named = await _named(copy, copy.catalog, type_, page)
        for id, stored in page.items():
            fields = {owner_field(name): value for name, value in stored["fields"].items() if name in type_.fields}
            relations = {
                owner_field(name): [named[type_.fields[name].target, target] for target in targets
                                    if (type_.fields[name].target, target) in named]
                for name, targets in stored["links"].items()
                if name in type_.fields and _is_given(type_.fields[name], copy.catalog.types)
            }  # fmt: skip
            own = _exported_id(type_, id, stored["fields"])
            yield {"id": own, "fields": fields, "relations": {name: ids for name, ids in relations.items() if ids}}
        after = list(page)[-1]


async def _named(
    copy: SqliteGraph, catalog: Catalog, type_: TypeDef, page: Mapping[str, Any]
) -> dict[tuple[str, str], str]:
    """Return the exported ids of the nodes that these link to, by type and id; those that do not exist are left out."""
    wanted = dict.fromkeys(
        (type_.fields[name].target, id)
        for stored in page.values()
        for name, ids in stored["links"].items()
        if name in type_.fields and type_.fields[name].target in catalog.types
        for id in ids
    )
    found: dict[tuple[str, str], str] = {}
    keys = list(wanted)
    for first in range(0, len(keys), AT_ONCE):
        refs = {(target, id): _ref(target, id) for target, id in keys[first : first + AT_ONCE]}
        states = await copy.entities(list(refs.values()))
        for (target, id), ref in refs.items():
            if (state := states[ref]).exists:
                found[target, id] = _exported_id(catalog.types[target], id, state.fields)
    return found


def _ref(type: str, id: str) -> Ref:
    name = TypeName.parse(type)
    return Ref(name.app, name.type, id)


def _exported_id(type_: TypeDef, id: str, fields: Mapping[str, Any]) -> str:
    identity = type_.id_field
    return str(fields.get(identity.name, id)) if identity else id
