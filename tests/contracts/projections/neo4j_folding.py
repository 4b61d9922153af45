"""A process that folds a long log into the graph on a Neo4j server, transaction by transaction, to be killed at any
moment.

    PASSWORD=… python -m tests.contracts.projections.neo4j_folding ADDRESS

It prints its position before and after each batch, and continues from the graph's checkpoint when it is started again.
"""

from __future__ import annotations

import asyncio
import os
import sys

from projections.graph.neo4j import Neo4jSettings, open_neo4j_graph
from tests.contracts.projections.folding_process import long_log
from tests.contracts.projections.shelf import BUILTIN, EPOCH


async def main(address: str) -> None:
    log = long_log()
    settings = Neo4jSettings(address, password=os.environ["PASSWORD"], holder="folding")
    graph = await open_neo4j_graph(settings, BUILTIN)
    batch = []
    for event in log.events[graph.checkpoint.sequence :]:
        batch.append(event)
        if event.ends_transaction and len(batch) >= 4:
            print("at", event.sequence, flush=True)
            await graph.apply(EPOCH, batch)
            print("done", event.sequence, flush=True)
            batch = []
    await graph.apply(EPOCH, batch)
    print("end", flush=True)
    await graph.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
