"""Which node uses which version of the graph in the database: what one node drops stays while another one uses it.

Each version's record names its users, each by the name that it keeps over restarts. A node that is gone for good stays one until somebody
takes its name away.
"""

from __future__ import annotations

import neo4j

from projections.graph.neo4j.connection import run
from projections.graph.neo4j.names import Names

__all__ = ["Found", "found", "join", "leave"]

Found = tuple[str, str, int]  # space, epoch of its log, sequence


async def join(session: neo4j.AsyncSession, names: Names, node: str) -> None:
    """Use this version."""
    text = f"MATCH (v:{names.view}) SET v.locked = timestamp() WITH v WHERE NOT $node IN coalesce(v.users, []) "
    await (await run(session, f"{text} SET v.users = coalesce(v.users, []) + $node", {"node": node})).consume()


async def leave(driver: neo4j.AsyncDriver, names: Names, node: str) -> bool:
    """Do not use it any more; whether nobody does now."""
    text = f"MATCH (v:{names.view}) SET v.locked = timestamp(), v.users = [user IN coalesce(v.users, []) WHERE user <> $node]"
    async with driver.session() as session:
        left = await (await run(session, f"{text} RETURN size(v.users)", {"node": node})).values()
    return not any(count for (count,) in left)


async def found(driver: neo4j.AsyncDriver, names: Names) -> list[Found]:
    """All versions in the database, the one that is furthest, and of those the newest, last."""
    async with driver.session() as session:
        text = f"MATCH (v:{names.any_view}) RETURN v.space, v.epoch, v.sequence ORDER BY v.sequence, toInteger('0' + v.space)"
        return [(space, epoch, sequence) for space, epoch, sequence in await (await run(session, text)).values()]
