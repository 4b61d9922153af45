"""kill -9 while the views fold: opened again, they continue from their checkpoints and end as if nothing had
happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from projections.graph.model import ModelGraph
from projections.graph.sqlite import open_sqlite_graph
from projections.search.contract import SearchQuery
from projections.search.tantivy import open_tantivy_search
from tests.contracts.projections.folding_process import long_log
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH

ROOT = Path(__file__).parents[3]
TYPES = {BOOK: frozenset({"title", "tags"})}


def fold_until(folder: Path, sequence: int) -> int:
    """Run the folding process and kill it once it has printed `sequence`; returns the last one that it printed."""
    command = [sys.executable, "-m", "tests.contracts.projections.folding_process", str(folder)]
    told = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = int(line)
            if told >= sequence:
                break
        process.kill()
    return told


async def test_views_that_were_killed_go_on_where_they_were(tmp_path: Path) -> None:
    log = long_log()
    for share in (0.1, 0.3, 0.5, 0.8):
        told = fold_until(tmp_path, int(len(log.events) * share))
        graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
        search = await open_tantivy_search(tmp_path / "search", graph)
        assert graph.checkpoint.sequence >= told
        assert graph.checkpoint.sequence >= search.checkpoint.sequence
        await search.close()
        await graph.close()
    oracle = ModelGraph(BUILTIN)
    await oracle.apply(EPOCH, log.events)
    graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    search = await open_tantivy_search(tmp_path / "search", graph)
    await graph.apply(EPOCH, log.events)
    await search.apply(EPOCH, log.events)
    assert await graph.dump() == await oracle.dump()
    found = await search.search(SearchQuery("book", TYPES, first=1000))
    expected = {ref for ref in (await oracle.dump())["entities"] if ref.startswith(BOOK)}
    assert {str(hit.ref) for hit in found.hits} == expected
    assert found.total == len(expected)
    await search.close()
    await graph.close()
