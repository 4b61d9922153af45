"""Folds the log again, beside the graph that answers queries, and compares the two page by page.

This costs little memory and hardly delays callers: the graph pauses for one page at a time, while both are at the same event.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.graph.schema import builtin_catalog
from core.node.difference import first_difference
from core.node.folder import DataFolder
from core.node.graphs import Graphs
from eventstore import EventStore
from pcloud.revision import Revision
from projections.directory import Directory
from projections.graph.catalog import NO_TYPES, Catalog
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph
from projections.graph.switch import GraphSwitch
from projections.refill import refill

__all__ = ["verify_directory", "verify_graph", "verify_projections"]

PAGE = 1_000
ATTEMPTS = 5
Tell = Callable[[str, str], None]


async def verify_projections(
    store: EventStore, directory: Directory, graphs: Graphs, folder: DataFolder, progress: Tell
) -> dict[str, Any]:
    """Compare the directory and the graph: return the result of `verify_graph` and `view`, the one that differs. Raises `Unavailable` if
    there is no room for a second graph."""
    progress("folded", "the directory")
    if difference := await verify_directory(store, directory):
        at = directory.checkpoint
        return {
            "equal": False, "revision": str(Revision(at.epoch, at.sequence)), "events": at.sequence,
            "difference": difference, "view": "directory",
        }  # fmt: skip
    folder.disk_space.check("a second graph to compare with", graphs.rebuilds.size)
    async with folder.disk_space.kept("the comparison"):
        result = await verify_graph(store, graphs.switch, folder.root, progress)
    return {**result, "view": "graph"}


async def verify_directory(store: EventStore, directory: Directory) -> dict[str, Any] | None:
    """Return the first difference between the directory and the same fold of the log; None if they are equal."""
    refold = Directory(builtin_catalog())
    difference = None
    for _ in range(ATTEMPTS):  # the log may have grown meanwhile
        await refold.catch_up(store)
        mine, theirs = await directory.graph.dump(), await refold.graph.dump()
        found = (first_difference(section, mine[section], theirs[section]) for section in ("entities", "tombstones"))
        if (difference := next((one for one in found if one is not None), None)) is None:
            return None
    assert difference is not None
    return {**difference, "entity": difference["entity"].removeprefix("entities/")}


async def verify_graph(
    store: EventStore, graph: GraphSwitch, scratch: Path, progress: Tell, *, builtin: Catalog = NO_TYPES
) -> dict[str, Any]:
    """`{"equal", "revision", "events", "difference"}`: the last is None or `{"entity", "field", "graph", "log"}`. `scratch`: a folder
    with room for a second graph, which is deleted afterwards. `builtin`: types that the graph has without any app.

    Events that are forgotten meanwhile are missing in what is read, and a later event explains them: then the rest is read too, and
    compared again.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="verify-") as folder:
        refold = await open_sqlite_graph(Path(folder) / "graph.sqlite", builtin)
        try:
            await refold.begin_filling()  # never ended: only its pages are read
            compared = _Comparison(store, graph, refold, progress)
            await compared.catch_up()
            difference = None
            for _ in range(ATTEMPTS):
                difference = await compared.run()
                if difference is None or not refold.checkpoint.missing:
                    break
            at = refold.checkpoint
            return {
                "equal": difference is None, "revision": str(Revision(at.epoch or store.epoch, at.sequence)),
                "events": compared.count, "difference": difference,
            }  # fmt: skip
        finally:
            await refold.close()


class _Comparison:
    def __init__(self, store: EventStore, graph: GraphSwitch, refold: SqliteGraph, progress: Tell) -> None:
        self._store, self._graph, self._refold, self._progress = store, graph, refold, progress
        self.count = 0

    async def catch_up(self) -> None:
        await refill(self._store, self._refold, self._graph.checkpoint.sequence, self._folded)

    def _folded(self, count: int, at: int) -> None:
        self.count += count
        self._progress("folded", f"{at:,} of {max(at, self._graph.checkpoint.sequence):,} events")

    async def run(self) -> dict[str, Any] | None:
        """Return the first difference between the two, each page at one event."""
        done: set[str] = set()
        while left := {*self._refold.sections, *self._graph.in_use.sections} - done:
            section = min(left)
            if found := await self._section(section):
                return found
            done.add(section)
        return await self._whole()

    async def _section(self, section: str) -> dict[str, Any] | None:
        after, count = "", 0
        while True:
            mine, found = await self._page(section, after)
            if found is not None:
                return found
            count += len(mine)
            self._progress("compared", f"{section}: {count:,}")
            if len(mine) < PAGE:
                return None
            after = list(mine)[-1]

    async def _page(self, section: str, after: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return a page of the graph, and the first difference. If another node is folding into the same graph, compare again."""
        mine: dict[str, Any] = {}
        found = None
        for _ in range(ATTEMPTS):
            async with self._graph.turn:
                await self.catch_up()
                mine = await self._graph.in_use.page(section, after, PAGE)
                theirs = await self._refold.page(section, after, PAGE)
            if (found := first_difference(section, mine, theirs)) is None:
                break
        return mine, found

    async def _whole(self) -> dict[str, Any] | None:
        """Compare what belongs to no entity: the catalog, and the running hash."""
        async with self._graph.turn:
            await self.catch_up()
            mine, theirs = self._graph, self._refold
            if mine.catalog != theirs.catalog:
                return {
                    "entity": "catalog",
                    "field": "",
                    "graph": mine.catalog.to_json(),
                    "log": theirs.catalog.to_json(),
                }
            if mine.checkpoint != theirs.checkpoint and not mine.checkpoint.missing:
                one, other = f"{mine.checkpoint.hash:x}", f"{theirs.checkpoint.hash:x}"
                return {"entity": "checkpoint", "field": "hash", "graph": one, "log": other}
        return None
