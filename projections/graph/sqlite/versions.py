"""Versions of the SQLite graph in one folder: `graph.sqlite` is the first, then `graph-2.sqlite` and so on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from projections.disk_space import bytes_of
from projections.graph.catalog import NO_TYPES, Catalog
from projections.graph.sqlite.store import SqliteGraph, open_sqlite_graph
from projections.graph.sqlite.version import VERSION

__all__ = ["SqliteVersions"]

KIND = "sqlite"


class SqliteVersions:
    """A `VersionStore`. `builtin`: types that exist before any app declares its own."""

    version = VERSION
    keeps_deleted = False

    def __init__(self, folder: Path, builtin: Catalog = NO_TYPES) -> None:
        self.folder, self._builtin = folder, builtin

    async def open(self, name: str) -> SqliteGraph:
        return await open_sqlite_graph(self.path(name), self._builtin)

    async def begin(self, projection: SqliteGraph, epoch: str) -> None:
        await projection.begin_filling()

    async def finish(self, projection: SqliteGraph) -> None:
        await projection.end_filling()

    def size(self, name: str) -> int:
        return bytes_of(self.folder, f"{self.path(name).name}*")

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._drop, self.path(name))

    @staticmethod
    def _drop(path: Path) -> None:
        for suffix in ("-wal", "-shm", ".lock", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    async def first(self) -> str:
        return f"{KIND}-1"

    async def names(self) -> list[str]:
        found = (path.stem.removeprefix("graph") for path in self.folder.glob("graph*.sqlite"))
        return [f"{KIND}-{number}" for one in found if (number := one.removeprefix("-") or "1").isdecimal()]

    def path(self, name: str) -> Path:
        number = name.rpartition("-")[2]
        return self.folder / ("graph.sqlite" if number == "1" else f"graph-{number}.sqlite")
