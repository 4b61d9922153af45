"""A temporary graph in memory: none of its data ever reaches the disk."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from projections.graph.catalog import Catalog
from projections.graph.catalog_history import fillings
from projections.graph.sqlite.connection import errors_told, open_connection
from projections.graph.sqlite.migrate import fill
from projections.graph.sqlite.store import SqliteGraph

__all__ = ["ScratchGraph", "open_scratch_graph"]


@asynccontextmanager
async def open_scratch_graph(catalog: Catalog) -> AsyncGenerator[ScratchGraph]:
    """An empty graph that knows these types."""
    graph = ScratchGraph(Path("scratch"), catalog)
    await graph.open()
    try:
        yield graph
    finally:
        await graph.close()


class ScratchGraph(SqliteGraph):
    def __init__(self, path: Path, catalog: Catalog) -> None:
        super().__init__(path, catalog)
        self._address = f"file:{secrets.token_hex(8)}?mode=memory&cache=shared"

    def _acquire(self) -> Callable[[], None]:
        return lambda: None  # this graph alone knows the address

    def _connect(self, *, cache_mb: int, write: bool) -> sqlite3.Connection:
        return open_connection(self._address, cache_mb=cache_mb, write=write)

    async def fill_defaults(self) -> None:
        """Give required fields without a value their default, as an upgrade that adds such a field does."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._fill)

    def _fill(self) -> None:
        with errors_told(self.path), self._transaction(self._writer):
            state = self._state
            fill(self._writer, state.layout, state.stored, fillings(Catalog(), state.catalog))
