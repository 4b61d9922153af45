"""Versions of the graph in one Neo4j database: the first has its types' plain names as labels, the others `Type@2` and so on."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from pcloud.errors import Unavailable
from projections.graph.catalog import Catalog
from projections.graph.neo4j import users
from projections.graph.neo4j.connection import connect, errors_told
from projections.graph.neo4j.names import Names
from projections.graph.neo4j.reconnecting import ReconnectingNeo4j, open_reconnecting
from projections.graph.neo4j.schema import wipe_space
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.store import VERSION
from projections.position import PositionLog

__all__ = ["Neo4jVersions"]

KIND = "neo4j"


class Neo4jVersions:
    """A `VersionStore`, which several nodes may share. `source`: the log that they are folded from."""

    version = VERSION
    keeps_deleted = False

    def __init__(self, settings: Neo4jSettings, builtin: Catalog, source: PositionLog) -> None:
        self._settings, self._builtin, self._source = settings, builtin, source
        self._found: list[users.Found] = []

    async def open(self, name: str) -> ReconnectingNeo4j:
        return await open_reconnecting(self._of(name), self._builtin, self._source)

    async def first(self) -> str:
        """The version that other nodes use, if it is of this log: a complete one, which is further than one that is
        being built."""
        for space, epoch, _ in reversed(await self._look()):
            if epoch == self._source.epoch:
                return f"{KIND}-{space or 1}"
        return f"{KIND}-1"

    async def begin(self, projection: ReconnectingNeo4j, epoch: str) -> None:
        """It can only start with the log's first event."""

    async def finish(self, projection: ReconnectingNeo4j) -> None:
        """Does nothing: nothing was postponed."""

    def size(self, name: str) -> int:
        """0: the disk is the server's own."""
        return 0

    async def drop(self, name: str) -> None:
        """Stop using it; a version without users is wiped."""
        settings = self._of(name)
        names = Names(settings.space)
        driver = await connect(settings)
        with errors_told(settings):
            async with driver:
                if await users.leave(driver, names, settings.holder):
                    await wipe_space(driver, names)

    async def names(self) -> list[str]:
        """Versions of any node, as of the last look while the server is away."""
        return [f"{KIND}-{space or 1}" for space, *_ in await self._look()]

    async def _look(self) -> list[users.Found]:
        with contextlib.suppress(Unavailable), errors_told(self._settings):
            async with await connect(self._settings) as driver:
                self._found = await users.found(driver, Names())
        return self._found

    def _of(self, name: str) -> Neo4jSettings:
        number = name.rpartition("-")[2]
        return replace(self._settings, space="" if number == "1" else number)
