"""Versions of the graph in one Neo4j database: the first has its types' plain names as labels, the others `Type@2` and so on."""

from __future__ import annotations

from dataclasses import replace

from projections.graph.catalog import Catalog
from projections.graph.neo4j.connection import connect, errors_told
from projections.graph.neo4j.names import Names
from projections.graph.neo4j.reach import Neo4jReach, open_reach
from projections.graph.neo4j.schema import wipe_space
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.store import VERSION
from projections.position import PositionLog

__all__ = ["Neo4jVersions"]

KIND = "neo4j"


class Neo4jVersions:
    """A `VersionStore`. `source`: the log that they are folded from."""

    version = VERSION
    keeps_deleted = False

    def __init__(self, settings: Neo4jSettings, builtin: Catalog, source: PositionLog) -> None:
        self._settings, self._builtin, self._source = settings, builtin, source
        self._names: set[str] = set()

    async def open(self, name: str) -> Neo4jReach:
        reach = await open_reach(self._of(name), self._builtin, self._source)
        self._names |= {name, *(f"{KIND}-{space or 1}" for space in await reach.spaces())}
        return reach

    async def begin(self, view: Neo4jReach, epoch: str) -> None:
        """There is no quicker start than the log's first event."""

    async def finish(self, view: Neo4jReach) -> None:
        """Nothing was put off."""

    def size(self, name: str) -> int:
        """The server's disk is its own."""
        return 0

    async def drop(self, name: str) -> None:
        settings = self._of(name)
        driver = await connect(settings)
        with errors_told(settings):
            async with driver:
                await wipe_space(driver, Names(settings.space))
        self._names.discard(name)

    def names(self) -> list[str]:
        """As of the last time that one was opened."""
        return sorted(self._names)

    def _of(self, name: str) -> Neo4jSettings:
        number = name.rpartition("-")[2]
        return replace(self._settings, space="" if number == "1" else number)
