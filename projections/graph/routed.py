"""One graph for all callers: core's own types from the directory, the apps' from the graph projection. No relation connects
the two.

So the platform's own queries need no graph store, and a store holds nothing with which anyone could sign in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pcloud.subject import Ref
from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.contract import Aggregate, EntityState, Filter, GraphReader, Group, KnownTransaction, Row, Select

__all__ = ["RoutedGraph"]

CORE = "core"


class RoutedGraph:
    """The contract `GraphReader`. `core`: the store of core's own types (which knows all catalogs). `apps`: the graph
    projection."""

    def __init__(self, core: GraphReader, apps: GraphReader) -> None:
        self._core, self._apps = core, apps
        self._merged: tuple[Catalog, Catalog, Catalog] | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The graph projection's checkpoint; the directory's until the graph projection was first reached."""
        at = self._apps.checkpoint
        return at if at.epoch else self._core.checkpoint

    @property
    def catalog(self) -> Catalog:
        """What can be queried: core's own types, and the apps' as far as the graph projection has them."""
        core, apps = self._core.catalog, self._apps.catalog
        if self._merged is None or self._merged[0] is not core or self._merged[1] is not apps:
            own = {name: type_ for name, type_ in core.types.items() if name.startswith(f"{CORE}/")}
            self._merged = core, apps, Catalog({**apps.types, **own})
        return self._merged[2]

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        return await self._of(select.type).fetch(select, patient=patient)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self._of(type).aggregate(type, filter, aggregates)

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self._of(type).group(type, filter, by, limit)

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._of(type).related(type, field, ids)

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        """Core's from one snapshot, the others from another."""
        own = [ref for ref in refs if ref.app == CORE]
        others = [ref for ref in refs if ref.app != CORE]
        found = await self._core.entities(own) if own else {}
        return {**found, **(await self._apps.entities(others) if others else {})}

    async def transaction(self, tx: str) -> KnownTransaction | None:
        """A transaction concerns either core's types or the apps', never both."""
        return await self._core.transaction(tx) or await self._apps.transaction(tx)

    def _of(self, type: str) -> GraphReader:
        return self._core if type.startswith(f"{CORE}/") else self._apps
