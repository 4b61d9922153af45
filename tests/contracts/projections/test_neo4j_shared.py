"""Several nodes on one Neo4j server: none removes the version from which another one answers."""

from __future__ import annotations

from pathlib import Path

import neo4j

from eventstore import EventStore
from projections.graph.neo4j import Neo4jSettings
from tests.contracts.projections.neo4j_node import as_the_log, graph_node
from tests.contracts.projections.shelf import PERSON
from tests.contracts.projections.test_neo4j_other_data import PEOPLE, driver, person, store

__all__ = ["driver", "store"]  # the fixtures: an empty database, and a log


async def spaces(driver: neo4j.AsyncDriver) -> list[str]:
    found = await driver.execute_query("MATCH (v:`pcloud:AnyView`) RETURN v.space ORDER BY v.space")
    return [record.values()[0] for record in found.records]


async def test_a_new_node_begins_with_the_version_of_the_others(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "a", store, neo4j_settings) as one:
        await one.rebuilds.rebuild()
        await one.rebuilds.rebuild()
        assert (one.graph.named, await spaces(driver)) == ("neo4j-3", ["2", "3"])
        async with graph_node(tmp_path / "b", store, neo4j_settings) as other:
            assert other.graph.named == "neo4j-3"
            assert await one.count(PERSON) == await other.count(PERSON) == PEOPLE
            await one.loop.wait_for((await store.append(person(100))).revision.sequence)
            await other.loop.wait_for(await store.last_sequence())
            assert await other.count(PERSON) == PEOPLE + 1


async def indexed(driver: neo4j.AsyncDriver, end: str) -> list[list[str]]:
    """Labels, without their suffix, and properties."""
    found = await driver.execute_query(
        "SHOW INDEXES YIELD labelsOrTypes AS labels, properties WHERE labels[0] ENDS WITH $end "
        "RETURN replace(labels[0], $end, ''), properties[0] ORDER BY labels[0], properties[0]",
        end=end,
    )
    return [record.values() for record in found.records]


async def test_a_dropped_version_leaves_no_index(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "a", store, neo4j_settings) as one:
        await one.rebuilds.rebuild()
        assert await indexed(driver, "@2")
        for _ in range(2):
            await one.rebuilds.rebuild()
        assert not await indexed(driver, "@2")
        assert await indexed(driver, "@3") == await indexed(driver, "@4")


async def test_a_node_keeps_answering_from_a_version_that_others_dropped(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with (
        graph_node(tmp_path / "a", store, neo4j_settings) as one,
        graph_node(tmp_path / "b", store, neo4j_settings) as other,
    ):
        assert one.graph.named == other.graph.named == "neo4j-1"
        for _ in range(2):
            await one.rebuilds.rebuild()
            assert await other.count(PERSON) == PEOPLE
        await other.loop.wait_for((await store.append(person(100))).revision.sequence)
        assert await as_the_log(other, store, tmp_path)
        assert await spaces(driver) == ["", "2", "3"]
        await other.rebuilds.rebuild()
        assert other.graph.named == "neo4j-4"
        await other.rebuilds.rebuild()
        assert await spaces(driver) == ["2", "3", "4", "5"]
        await one.loop.wait_for(await store.last_sequence())
        assert await as_the_log(one, store, tmp_path)
