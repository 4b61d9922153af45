"""Versions of the search index in one folder: `index-1`, `index-2` and so on, each a tantivy index."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from projections.disk_space import bytes_of
from projections.graph.contract import GraphReader
from projections.search.tantivy import VERSION, TantivySearch, open_tantivy_search

__all__ = ["TantivyVersions"]

KIND = "tantivy"


class TantivyVersions:
    """A `VersionStore`. `graph`: the projection that documents are read from."""

    version = VERSION
    keeps_deleted = True  # until tantivy merges the segment that has it

    def __init__(self, folder: Path, graph: GraphReader) -> None:
        self.folder, self._graph = folder, graph

    async def open(self, name: str) -> TantivySearch:
        return await open_tantivy_search(self.path(name), self._graph)

    async def begin(self, projection: TantivySearch, epoch: str) -> None:
        await projection.begin(epoch)

    async def finish(self, projection: TantivySearch) -> None:
        """Does nothing: nothing was postponed."""

    def size(self, name: str) -> int:
        return bytes_of(self.path(name))

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._drop, self.path(name))

    @staticmethod
    def _drop(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)

    async def first(self) -> str:
        return f"{KIND}-1"

    async def names(self) -> list[str]:
        found = (path.name.removeprefix("index-") for path in self.folder.glob("index-*"))
        return [f"{KIND}-{number}" for number in found if number.isdecimal()]

    def path(self, name: str) -> Path:
        return self.folder / f"index-{name.rpartition('-')[2]}"
