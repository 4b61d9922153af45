"""Makes constraints and indexes, and deletes everything.

They are made before the batch that needs them: Neo4j refuses both in one transaction. Making them again, or making more
than the batch then needs, is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import neo4j

from projections.graph.neo4j.connection import errors_told, open_session, run
from projections.graph.neo4j.layout import Layout
from projections.graph.neo4j.names import Names, index_name, quoted
from projections.graph.neo4j.settings import Neo4jSettings

__all__ = ["Schema", "make_own", "make_schema", "wipe_space"]

WIPED = 10_000  # nodes deleted in one transaction


class Schema:
    """What the layouts of one projection need; remembers what it has made and does not check again."""

    def __init__(self, settings: Neo4jSettings, driver: neo4j.AsyncDriver) -> None:
        self._settings, self._driver = settings, driver
        self._made: set[str] = set()

    async def make(self, before: Layout, after: Sequence[Layout]) -> None:
        """Make what a batch with these layouts needs, after a projection with the one before."""
        wanted = {name: statement for one in after for name, statement in one.schema.items()}
        unwanted = before.schema.keys() - after[-1].schema.keys()
        for name in unwanted:
            wanted.pop(name, None)
        if not unwanted and wanted.keys() <= self._made:
            return
        with errors_told(self._settings):
            async with open_session(self._driver) as session:
                await make_schema(session, wanted, unwanted)
        self._made = (self._made | wanted.keys()) - unwanted


async def make_schema(session: neo4j.AsyncSession, wanted: Mapping[str, str], unwanted: Iterable[str] = ()) -> None:
    """`wanted`: name → statement. `unwanted`: names of indexes that must go first."""
    present = {
        f"`{name}`"
        for (name,) in await (await run(session, "SHOW INDEXES YIELD name WHERE name STARTS WITH 'pcloud_'")).values()
    }
    dropped = [name for name in unwanted if name in present and name not in wanted]
    missing = [statement for name, statement in wanted.items() if name not in present]
    if not dropped and not missing:
        return
    async with await session.begin_transaction() as tx:
        for name in dropped:
            await (await run(tx, f"DROP INDEX {name} IF EXISTS")).consume()
        for statement in missing:
            await (await run(tx, statement)).consume()
        await tx.commit()
    await (await run(session, "CALL db.awaitIndexes(300)")).consume()


async def make_own(session: neo4j.AsyncSession, names: Names) -> None:
    """The constraints and indexes of the projection's own records."""
    unique = [(names.view, "name"), (names.tombstone, "entity"), (names.transaction, "tx"), (names.commit, "name")]
    wanted = {
        index_name(
            label, field
        ): f"CREATE CONSTRAINT {index_name(label, field)} IF NOT EXISTS FOR (n:{label}) REQUIRE n.{field} IS UNIQUE"
        for label, field in unique
    }
    by_time = index_name(names.transaction, "time")
    wanted[by_time] = f"CREATE INDEX {by_time} IF NOT EXISTS FOR (n:{names.transaction}) ON (n.time)"
    await make_schema(session, wanted)


async def wipe_space(driver: neo4j.AsyncDriver, names: Names, *, schema: bool = True) -> None:
    """Delete all of a space from the database, in bounded steps. `schema`: also its constraints and indexes."""
    async with open_session(driver) as session:
        labels = [label for (label,) in await (await run(session, "CALL db.labels() YIELD label")).values()]
        # The projection's record goes last: if this is interrupted, the rest is still known to be ours.
        for label in sorted((quoted(one) for one in labels if names.owns(one)), key=lambda one: one == names.view):
            if schema and label == names.view:
                await _drop_schema(session, names)
            text = f"MATCH (n:{label}) WITH n LIMIT $wiped DETACH DELETE n RETURN count(*)"
            while (await (await run(session, text, {"wiped": WIPED})).single(strict=True))[0] == WIPED:
                pass


async def _drop_schema(session: neo4j.AsyncSession, names: Names) -> None:
    found = "YIELD name, labelsOrTypes WHERE name STARTS WITH 'pcloud_' RETURN name, labelsOrTypes[0]"
    for kind, all_of in (
        ("CONSTRAINT", "CONSTRAINTS"),
        ("INDEX", "INDEXES"),
    ):  # an index of a constraint is dropped with it
        dropped = [
            quoted(name)
            for name, label in await (await run(session, f"SHOW {all_of} {found}")).values()
            if names.owns(label)
        ]
        if dropped:
            async with await session.begin_transaction() as tx:
                for name in dropped:
                    await (await run(tx, f"DROP {kind} {name} IF EXISTS")).consume()
                await tx.commit()
