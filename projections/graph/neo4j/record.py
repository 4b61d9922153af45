"""The projection's record in the database: created in an empty database, refused in one with foreign data."""

from __future__ import annotations

import neo4j

from pcloud.errors import Corrupt, Rejected
from projections.checkpoint import START
from projections.graph.neo4j.connection import run
from projections.graph.neo4j.names import Names
from projections.graph.neo4j.schema import make_own
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.state import position

__all__ = ["VERSION", "ensure_record"]

VERSION = 2  # of the fold; 2: without core's own types


async def ensure_record(session: neo4j.AsyncSession, names: Names, settings: Neo4jSettings) -> None:
    """Raises `Rejected` for a database that is not this cloud's, `Corrupt` for a projection that another program version
    made."""
    where = f"the database at {settings.address}"
    owners = await (await run(session, f"MATCH (v:{names.any_view}) RETURN DISTINCT v.owner")).values()
    if any(owner != settings.owner for (owner,) in owners):
        raise Rejected(f"{where} holds another cloud's graph: give this one a Neo4j server of its own")
    if not owners and (found := await (await run(session, "MATCH (n) RETURN labels(n) LIMIT 1")).values()):
        raise Rejected(
            f"{where} holds foreign data (such as a node with the labels {found[0][0]}): "
            "give PCloud a Neo4j server of its own"
        )
    views = await (await run(session, f"MATCH (v:{names.view}) RETURN v.version")).values()
    if not views:
        await _make(session, names, settings)
    elif views != [[VERSION]]:
        raise Corrupt(
            f"the graph on the Neo4j server at {settings.address} was made by another version of PCloud: build it again with "
            "`pcloud graph rebuild`"
        )


async def _make(session: neo4j.AsyncSession, names: Names, settings: Neo4jSettings) -> None:
    await make_own(session, names)
    text = (
        f"MERGE (v:{names.view} {{name: 'graph'}}) ON CREATE SET v:{names.any_view}, v.version = $version, v.token = 0, "
        "v.expires = 0, v.catalogs = '{}', v.space = $space, v.owner = $owner, v.maker = $holder, v += $position"
    )
    values = {"version": VERSION, "space": settings.space, "owner": settings.owner, "holder": settings.holder}
    await (await run(session, text, {**values, "position": position(START)})).consume()
