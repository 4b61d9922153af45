"""Which node uses which version of the graph in the database: a version that one node drops stays while another uses
it.

Each version's record names its users, each by the name that it keeps across restarts. A node that is gone for good
stays in the list until a person removes its name.
"""

from __future__ import annotations

import neo4j

from projections.graph.neo4j.connection import open_session, run
from projections.graph.neo4j.names import Names

__all__ = ["Found", "found", "join", "leave"]

Found = tuple[str, str, int]  # space, epoch of its log, sequence


async def join(session: neo4j.AsyncSession, names: Names, node: str) -> None:
    """Use this version."""
    text = f"MATCH (v:{names.view}) SET v.locked = timestamp() WITH v WHERE NOT $node IN coalesce(v.users, []) "
    await (await run(session, f"{text} SET v.users = coalesce(v.users, []) + $node", {"node": node})).consume()


async def leave(driver: neo4j.AsyncDriver, names: Names, node: str) -> bool:
    """Stop using it; returns True if it has no users left."""
    text = f"MATCH (v:{names.view}) SET v.locked = timestamp(), v.users = [user IN coalesce(v.users, []) WHERE user <> $node]"
    async with open_session(driver) as session:
        left = await (await run(session, f"{text} RETURN size(v.users)", {"node": node})).values()
    return not any(count for (count,) in left)


async def found(driver: neo4j.AsyncDriver, names: Names) -> list[Found]:
    """All versions in the database; the most advanced one, and the newest of those, last."""
    async with open_session(driver) as session:
        text = f"MATCH (v:{names.any_view}) RETURN v.space, v.epoch, v.sequence ORDER BY v.sequence, toInteger('0' + v.space)"
        return [(space, epoch, sequence) for space, epoch, sequence in await (await run(session, text)).values()]
