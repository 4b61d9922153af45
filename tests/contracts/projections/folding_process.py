"""A process that folds a long log into a graph and its search index, transaction by transaction, to be killed at any
moment.

    python -m tests.contracts.projections.folding_process FOLDER

It prints the checkpoint after each batch, and continues from the views' checkpoints when it is started again.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from projections.graph.sqlite import open_sqlite_graph
from projections.search.tantivy import open_tantivy_search
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH, PERSON, SHELF, Log, create, delete, update

__all__ = ["long_log"]


def long_log() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    for number in range(150):
        person, book = f"p{number % 7}", f"{BOOK}/b{number}"
        log.write(
            create(f"{PERSON}/{person}", name=f"Person {number}"),
            create(book, {"author": [person]}, title=f"Book {number}"),
        )
        log.write(update(book, pages=number, tags=["old"]))
        if number % 5 == 0:
            log.write(delete(f"{BOOK}/b{number // 2}"))
    return log


async def main(folder: Path) -> None:
    log = long_log()
    graph = await open_sqlite_graph(folder / "graph.sqlite", BUILTIN)
    search = await open_tantivy_search(folder / "search", graph)
    start = min(graph.checkpoint.sequence, search.checkpoint.sequence)
    batch = []
    for event in log.events[start:]:
        batch.append(event)
        if event.ends_transaction:
            await graph.apply(EPOCH, batch)
            await search.apply(EPOCH, batch)
            print(event.sequence, flush=True)
            batch = []
    await search.close()
    await graph.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
