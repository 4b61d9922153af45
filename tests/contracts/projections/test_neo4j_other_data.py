"""A Neo4j server whose data changes while the node runs: the graph is never silently wrong, and repairs itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest

from eventstore import ConnectionSettings, EventStore, ServerSettings, Transaction, open_server, open_store
from pcloud.errors import Unavailable
from pcloud.event import Change, Event, Kind, StoredEvent
from pcloud.subject import Ref, new_id
from projections import refill
from projections.checkpoint import Checkpoint
from projections.graph.contract import Select
from projections.graph.neo4j import Neo4jSettings, ReconnectingNeo4j, connection, open_neo4j_graph
from projections.position import Behind
from tests.contracts.projections.neo4j_node import as_the_log, graph_node
from tests.contracts.projections.shelf import BUILTIN, PERSON, SHELF
from tests.waiting import PATIENCE, until

PEOPLE = 20


@pytest.fixture
async def driver(neo4j_settings: Neo4jSettings) -> AsyncIterator[neo4j.AsyncDriver]:
    """A driver for an empty database."""
    driver = await connection.connect(neo4j_settings)
    await driver.execute_query("MATCH (n) DETACH DELETE n")
    yield driver
    await driver.execute_query("MATCH (n) DETACH DELETE n")
    await driver.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as opened,
    ):
        await opened.append(
            transaction(Event(Ref("core", "App", "shelf"), Kind.CREATED, Change(set={"catalog": SHELF.to_json()})))
        )
        for number in range(PEOPLE):
            await opened.append(person(number))
        yield opened


def transaction(*events: Event) -> Transaction:
    return Transaction(new_id().replace("-", ""), events, "owner")


def person(number: int) -> Transaction:
    return transaction(Event(Ref("shelf", "Person", f"p{number}"), Kind.CREATED, Change(set={"name": f"P {number}"})))


async def test_a_database_that_lost_its_data_is_folded_again_by_itself(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        last, before = await store.last_sequence(), node.graph.in_use._graph
        told: list[int] = []
        node.loop.on_applied(lambda events: told.extend(event.sequence for event in events))
        await driver.execute_query("MATCH (n) DETACH DELETE n")
        await until(lambda: node.graph.in_use._graph not in (None, before) and node.graph.checkpoint.sequence == last)
        assert await as_the_log(node, store, tmp_path)
        for number in (100, 101):
            last = (await store.append(person(number))).revision.sequence
        await node.loop.wait_for(last)
        assert node.graph.checkpoint.missing == ()
        assert await node.count(PERSON) == PEOPLE + 2
        assert told == [last - 1, last]  # what was folded before is not reported again


async def test_a_database_from_a_backup_continues_from_there(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    events = [event async for event in store.read(1, await store.last_sequence())]
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        await driver.execute_query("MATCH (n) DETACH DELETE n")
        older = await open_neo4j_graph(neo4j_settings, BUILTIN)
        await older.apply(store.epoch, events[:10])
        await older.close()
        last = (await store.append(person(100))).revision.sequence
        await node.loop.wait_for(last)
        assert await as_the_log(node, store, tmp_path)


async def test_a_batch_that_does_not_follow_is_refused_unless_the_log_has_a_gap(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings
) -> None:
    events = [event async for event in store.read(1, await store.last_sequence())]
    graph = await open_neo4j_graph(neo4j_settings, BUILTIN, store)
    await graph.apply(store.epoch, events[:10])
    with pytest.raises(Behind, match="stands at event 10"):
        await graph.apply(store.epoch, events[12:])
    assert graph.checkpoint.sequence == 10
    for event in events[10:12]:
        await store.erasure.purge(event.ref, event.sequence + 1)
    await graph.apply(store.epoch, events[12:])
    assert graph.checkpoint.missing == ((11, 12),)
    await graph.close()


async def test_a_damaged_graph_is_rebuilt_without_a_new_event(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        first = node.graph.named
        await driver.execute_query("MATCH (v:`pcloud:View`) SET v.epoch = 'another'")
        await until(lambda: node.graph.named != first and not node.graph.in_use.problem)
        assert await as_the_log(node, store, tmp_path)


async def test_a_lost_connection_does_not_lose_what_was_built(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    read = EventStore.read_batches

    async def read_bit_by_bit(self: EventStore, first: int, last: int) -> AsyncIterator[list[StoredEvent]]:
        async for events in read(self, first, last):
            for event in events:
                yield [event]

    monkeypatch.setattr(refill, "BULK", 1)
    monkeypatch.setattr(EventStore, "read_batches", read_bit_by_bit)
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        view: ReconnectingNeo4j | None = None
        spaces: set[str] = set()
        apply = ReconnectingNeo4j.apply

        async def lose_once(self: ReconnectingNeo4j, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
            nonlocal view
            if self is not node.graph.in_use:
                spaces.add(self.settings.space)
                if view is None and self.checkpoint.sequence > 10:
                    view, graph = self, self._graph
                    assert graph is not None
                    await graph._driver.close()  # the effect of a lost connection: the next statement fails
            return await apply(self, epoch, events)

        monkeypatch.setattr(ReconnectingNeo4j, "apply", lose_once)
        rebuilt = await node.rebuilds.rebuild()
        assert (rebuilt.version, rebuilt.events, spaces) == ("neo4j-2", PEOPLE + 1, {"2"})
        assert node.graph.in_use is view
        assert await as_the_log(node, store, tmp_path)


async def test_a_graph_moves_to_a_file_while_its_server_is_away(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        view = node.graph.in_use
        view.settings = replace(neo4j_settings, address="bolt://127.0.0.1:1")  # it does not come back
        await view._lose(view._graph, Unavailable("killed"))
        reading = asyncio.create_task(node.graph.fetch(Select(PERSON, ("id",)), patient=True))
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            assert (await node.rebuilds.rebuild("sqlite")).version == "sqlite-2"
            assert len(await reading) == PEOPLE


async def test_a_rebuild_begins_while_the_version_before_is_still_read(
    store: EventStore, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings, tmp_path: Path
) -> None:
    async with graph_node(tmp_path / "one", store, neo4j_settings) as node:
        node.graph._now.readers += 1
        node.graph._now.idle.clear()
        read, first = node.graph._now, asyncio.create_task(node.rebuilds.rebuild("sqlite"))
        await until(lambda: node.graph.named == "sqlite-2")
        second = asyncio.create_task(node.rebuilds.rebuild())
        await until(lambda: node.graph.named == "sqlite-3")
        assert not first.done()
        read.idle.set()
        await asyncio.gather(first, second)
        assert await node.count(PERSON) == PEOPLE
        assert node.rebuilds.chosen.names == {"sqlite-2", "sqlite-3"}
