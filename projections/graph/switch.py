"""The graph behind a switch: the contract `GraphStore`, answered by the version in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pcloud.subject import Ref
from projections.graph.catalog import Catalog
from projections.graph.contract import Aggregate, EntityState, Filter, Group, KnownTransaction, Row, Select
from projections.switch import Switch

__all__ = ["GraphSwitch"]


class GraphSwitch(Switch[Any]):
    """Passes every query on; a version is any `GraphStore`."""

    @property
    def catalog(self) -> Catalog:
        return self.in_use.catalog

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        return await self.ask("fetch", select, patient=patient)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self.ask("aggregate", type, filter, aggregates)

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self.ask("group", type, filter, by, limit)

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        return await self.ask("entities", refs)

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self.ask("related", type, field, ids)

    async def transaction(self, tx: str) -> KnownTransaction | None:
        return await self.ask("transaction", tx)

    async def dump(self) -> Mapping[str, Any]:
        return await self.ask("dump")
