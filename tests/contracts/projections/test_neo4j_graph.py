"""What only the Neo4j store guarantees: which node folds, what it refuses, and that no name or value becomes part of a
statement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import neo4j
import pytest

from pcloud.errors import Corrupt, Rejected, Unavailable
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import Compare, Order, Select
from projections.graph.model import ModelGraph
from projections.graph.neo4j import (
    Neo4jGraph,
    Neo4jSettings,
    connection,
    open_neo4j_graph,
    open_reconnecting,
    parse_address,
    scanning,
)
from projections.graph.neo4j.lease import LeaseLost
from projections.graph.neo4j.names import quoted
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH, PERSON, SHELF, Log, create, update


@pytest.fixture
async def graph(neo4j_settings: Neo4jSettings) -> AsyncIterator[Neo4jGraph]:
    opened = await open_neo4j_graph(replace(neo4j_settings, holder="one"), BUILTIN)
    await opened.clear()
    yield opened
    await opened.close()


@pytest.fixture
async def driver(neo4j_settings: Neo4jSettings) -> AsyncIterator[neo4j.AsyncDriver]:
    driver = await connection.connect(neo4j_settings)
    yield driver
    await driver.close()


@pytest.fixture
def log() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    log.write(create(f"{PERSON}/p", name="Ann"), create(f"{BOOK}/a", {"author": ["p"]}, title="One"))
    return log


class FixedLog:
    """What a view reads of the log."""

    def __init__(self, epoch: str, last: int) -> None:
        self.epoch, self._last = epoch, last

    async def last_sequence(self) -> int:
        return self._last


# --- what is refused -------------------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_named(neo4j_settings: Neo4jSettings) -> None:
    with pytest.raises(Rejected, match=r"password is wrong.*PCLOUD_GRAPH_PASSWORD"):
        await open_reconnecting(replace(neo4j_settings, password="not this one"), BUILTIN, FixedLog(EPOCH, 0))


async def test_another_version_is_named(neo4j_settings: Neo4jSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "NEEDED", (99, 0))
    with pytest.raises(Rejected, match=r"Neo4j/5\.26\.\d+, and the graph needs Neo4j 99\.0"):
        await open_neo4j_graph(neo4j_settings, BUILTIN)


async def test_a_database_with_foreign_data_is_left_alone(
    graph: Neo4jGraph, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings
) -> None:
    await driver.execute_query("MATCH (n) DETACH DELETE n")
    await driver.execute_query("CREATE (:Customer {name: 'Ada'})")
    try:
        with pytest.raises(Rejected, match=r"foreign data.*Customer"):
            await open_neo4j_graph(neo4j_settings, BUILTIN)
        found = await driver.execute_query("MATCH (n) RETURN labels(n)[0]")
        assert found.records[0].values() == ["Customer"]
    finally:
        await driver.execute_query("MATCH (n) DETACH DELETE n")


async def test_another_clouds_graph_is_left_alone(graph: Neo4jGraph, neo4j_settings: Neo4jSettings) -> None:
    with pytest.raises(Rejected, match="another cloud's graph"):
        await open_neo4j_graph(replace(neo4j_settings, owner="the neighbours"), BUILTIN)


@pytest.mark.parametrize(("epoch", "last"), [("restored", 100), (EPOCH, 1)])
async def test_a_view_that_is_not_on_the_log_is_named(
    graph: Neo4jGraph, log: Log, neo4j_settings: Neo4jSettings, epoch: str, last: int
) -> None:
    await graph.apply(EPOCH, log.events)
    with pytest.raises(Corrupt, match="does not belong to this log"):
        await open_reconnecting(neo4j_settings, BUILTIN, FixedLog(epoch, last))


async def test_the_store_waits_for_a_server_that_is_away(neo4j_settings: Neo4jSettings) -> None:
    nowhere = replace(neo4j_settings, address="bolt://127.0.0.1:1", connect_seconds=1.0)
    reach = await open_reconnecting(nowhere, BUILTIN, FixedLog(EPOCH, 0))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 .*nothing is lost"):
        await reach.fetch(Select(BOOK))
    await reach.close()


@pytest.mark.parametrize(
    "text",
    ["neo4j://u:secret@host:7687", "http://host", "neo4j://", "neo4j://host:port", "neo4j://host/database", "host:7687", "neo4j://h?x=1"],
)  # fmt: skip
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_address(text)
    assert "secret" not in refused.value.message


def test_an_address_is_read() -> None:
    assert parse_address("neo4j://ann@graph.home:7688") == ("bolt://graph.home:7688", "ann")
    assert parse_address("neo4j+s://[::1]") == ("bolt+s://[::1]:7687", "neo4j")


# --- which node folds -------------------------------------------------------------------------------------------------


async def test_two_nodes_that_fold_the_same_log_fold_each_event_once(
    graph: Neo4jGraph, log: Log, neo4j_settings: Neo4jSettings
) -> None:
    for number in range(40):
        log.write(update(f"{BOOK}/a", pages=number), create(f"{BOOK}/b{number}", {"author": ["p"]}))
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two", lease_seconds=0.05), BUILTIN)
    ends = [event.sequence for event in log.events if event.ends_transaction]

    async def fold(store: Neo4jGraph) -> None:
        start = 0
        for end in ends:
            while store.checkpoint.sequence < end:
                try:
                    await store.apply(EPOCH, log.events[start:end])
                except LeaseLost:
                    continue  # if a batch takes longer than its short lease, apply it again, as a loop does
            start = end

    await asyncio.gather(fold(graph), fold(other))
    oracle = ModelGraph(BUILTIN)
    await oracle.apply(EPOCH, log.events)
    assert await graph.dump() == await other.dump() == await oracle.dump()
    await other.close()


async def test_a_lease_lost_in_the_middle_of_a_batch_rolls_it_back(
    graph: Neo4jGraph,
    log: Log,
    driver: neo4j.AsyncDriver,
    neo4j_settings: Neo4jSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from projections.graph.neo4j.writing import Writer

    await graph.apply(EPOCH, log.events)
    more = log.write(update(f"{BOOK}/a", title="Two"), create(f"{BOOK}/b", title="New"))
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    write = Writer.write

    async def write_and_lose(self: Writer, changes: object) -> None:
        """What the server does to a holder that was away for longer than its lease, and what another node does then."""
        await write(self, changes)  # type: ignore[arg-type]
        monkeypatch.setattr(Writer, "write", write)
        await driver.execute_query(
            "SHOW TRANSACTIONS YIELD transactionId AS id, currentQuery WHERE NOT currentQuery CONTAINS 'SHOW TRANSACTIONS' "
            "TERMINATE TRANSACTIONS id YIELD message RETURN message"
        )
        await driver.execute_query("MATCH (v:`pcloud:View`) SET v.expires = 0")
        await other.apply(EPOCH, more)

    monkeypatch.setattr(Writer, "write", write_and_lose)
    with pytest.raises(LeaseLost):
        await graph.apply(EPOCH, more)
    assert (await graph.apply(EPOCH, more)).sequence == log.events[-1].sequence
    oracle = ModelGraph(BUILTIN)
    await oracle.apply(EPOCH, log.events)
    assert await graph.dump() == await oracle.dump()
    await other.close()


async def test_a_node_without_the_lease_waits_for_its_holder(
    graph: Neo4jGraph, log: Log, neo4j_settings: Neo4jSettings
) -> None:
    await graph.apply(EPOCH, log.events)
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    more = log.write(update(f"{BOOK}/a", title="Two"))
    following = asyncio.create_task(other.apply(EPOCH, more))
    await graph.apply(EPOCH, more)
    assert (await following).sequence == more[-1].sequence
    assert await other.fetch(Select(BOOK, ("title",))) == [{"title": "Two"}]
    await other.close()


async def test_a_returned_lease_is_free_at_once(log: Log, neo4j_settings: Neo4jSettings) -> None:
    one = await open_neo4j_graph(replace(neo4j_settings, holder="one", lease_seconds=1000.0), BUILTIN)
    await one.clear()
    await one.apply(EPOCH, log.events)
    await one.close()
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    assert (await other.apply(EPOCH, log.write(update(f"{BOOK}/a", title="Two")))).sequence == log.events[-1].sequence
    await other.close()


async def test_a_node_that_does_not_fold_never_sees_half_a_batch(
    graph: Neo4jGraph, log: Log, neo4j_settings: Neo4jSettings
) -> None:
    books = [f"{BOOK}/b{number}" for number in range(300)]
    log.write(*(create(book, pages=0) for book in books))
    await graph.apply(EPOCH, log.events)
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    every = Compare("pages", "ge", 0)

    async def fold() -> None:
        for number in range(1, 25):
            await graph.apply(EPOCH, log.write(*(update(book, pages=number) for book in books)))

    folding, seen = asyncio.create_task(fold()), list[int]()
    while not folding.done():
        rows = await other.fetch(Select(BOOK, ("pages",), filter=every))
        assert len(rows) == len(books)
        assert len({row["pages"] for row in rows}) == 1
        seen.append(rows[0]["pages"])
    await folding
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    await other.close()


async def test_an_answer_during_another_nodes_commit_is_repeated(
    graph: Neo4jGraph, log: Log, neo4j_settings: Neo4jSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await graph.apply(EPOCH, log.events)
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    ask, asked = other._ask, 0

    async def ask_and_commit(text: str, *rest: Any) -> list[list[Any]]:
        """Another node's batch is committed between the reading and the arrival of the answer."""
        nonlocal asked
        found = await ask(text, *rest)
        if BOOK in text:
            asked += 1
            if asked <= 2:
                await graph.apply(EPOCH, log.write(update(f"{BOOK}/a", pages=asked)))
        return found

    monkeypatch.setattr(other, "_ask", ask_and_commit)
    assert await other.fetch(Select(BOOK, ("pages",))) == [{"pages": 2}]
    assert asked == 3
    await other.close()


async def test_a_node_that_died_during_a_commit_does_not_block_readers(
    graph: Neo4jGraph, log: Log, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings
) -> None:
    await graph.apply(EPOCH, log.events)
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    await driver.execute_query("MERGE (c:`pcloud:Commit` {name: 'graph'}) SET c.begun = 7, c.done = 6")
    assert await other.fetch(Select(BOOK, ("title",))) == [{"title": "One"}]
    found = await driver.execute_query("MATCH (c:`pcloud:Commit`) RETURN c.begun, c.done")
    assert found.records[0].values() == [7, 7]
    await other.close()


async def test_a_lone_node_learns_of_another_before_that_one_can_fold(
    graph: Neo4jGraph, log: Log, driver: neo4j.AsyncDriver, neo4j_settings: Neo4jSettings
) -> None:
    await graph.apply(EPOCH, log.events)
    await driver.execute_query("MATCH (v:`pcloud:View`) SET v.expires = 0")
    other = await open_neo4j_graph(replace(neo4j_settings, holder="two"), BUILTIN)
    free = "MATCH (v:`pcloud:View`) RETURN v.shared, v.expires > timestamp() + 1500"
    assert (await driver.execute_query(free)).records[0].values() == [True, True]
    await other.close()


# --- statements ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a`b", "a\\u0060b", "a b", "", "ä", "a{b}", "a'b", "a$b", "x" * 500])
def test_a_name_that_could_end_its_quotes_is_not_written(name: str) -> None:
    with pytest.raises(Rejected):
        quoted(name)


async def test_a_query_that_takes_too_long_is_rejected(log: Log, neo4j_settings: Neo4jSettings) -> None:
    graph = await open_neo4j_graph(replace(neo4j_settings, longest_seconds=1.0), BUILTIN)
    await graph.clear()
    log.write(*(create(f"{BOOK}/b{number:04}", {"author": ["p"]}, title=f"{number}") for number in range(900)))
    await graph.apply(EPOCH, log.events)
    from projections.graph.contract import Child

    books = Select(BOOK, ("title",), order=(Order("title"),))
    for _ in range(4):
        author = Select(PERSON, ("name",), children=(Child("books", "books", books),))
        books = Select(BOOK, ("title",), children=(Child("author", "author", author),))
    with pytest.raises(Rejected, match=r"narrow its filter|beyond a bound"):
        await graph.fetch(books)
    assert len(await graph.fetch(Select(BOOK, ("id",)))) == 901
    await graph.close()


async def test_a_text_longer_than_an_index_allows_is_stored_and_found(graph: Neo4jGraph, log: Log) -> None:
    fields = {"text": FieldDef("text", "String", search=("hash", "term"))}
    log.install("long", Catalog({"long/Note": TypeDef("long/Note", fields)}))
    text = "word " * 20_000
    log.write(create("long/Note/a", text=text), create("long/Note/b", text=text + "end"))
    await graph.apply(EPOCH, log.events)
    found = await graph.fetch(Select("long/Note", ("id",), filter=Compare("text", "eq", text + "end")))
    assert found == [{"id": "b"}]
    assert len(await graph.fetch(Select("long/Note", ("id",), filter=Compare("text", "ge", text)))) == 2


async def test_an_id_and_a_search_are_found_by_an_index(graph: Neo4jGraph, log: Log, driver: neo4j.AsyncDriver) -> None:
    await graph.apply(EPOCH, log.events)
    found = await driver.execute_query("SHOW INDEXES YIELD labelsOrTypes, properties, owningConstraint")
    indexes = {
        (*labels, *properties): bool(constraint)
        for labels, properties, constraint in map(tuple, found.records)
        if labels
    }
    assert indexes[BOOK, "id"] is True
    assert {(BOOK, name) for name in ("pages", "title~start", "printed", "genre")} <= indexes.keys()


@pytest.mark.parametrize(
    "filter", [Compare("blurb", "regexp", "9$"), Compare("blurb", "anyofterms", "t9 t19 t29")], ids=["regexp", "words"]
)
async def test_values_that_are_tested_one_by_one_come_in_bounded_pages(
    graph: Neo4jGraph, log: Log, monkeypatch: pytest.MonkeyPatch, filter: Compare
) -> None:
    log.write(*(create(f"{BOOK}/b{number:02}", blurb="x " * 300 + f"t{number}") for number in range(30)))
    await graph.apply(EPOCH, log.events)
    monkeypatch.setattr(scanning, "ROWS", 16)
    monkeypatch.setattr(scanning, "PAGE_BYTES", 4_000)
    ask, pages = graph._ask, list[int]()

    async def watch(text: str, *rest: Any) -> list[list[Any]]:
        found = await ask(text, *rest)
        if "$after" in text:
            pages.append(sum(len(value) for _, value in found[0][0] or ()))
        return found

    monkeypatch.setattr(graph, "_ask", watch)
    found = await graph.fetch(Select(BOOK, ("id",), filter=filter))
    assert found == [{"id": "b09"}, {"id": "b19"}, {"id": "b29"}]
    assert len(pages) > 4
    assert max(pages) <= 4_000


async def test_testing_values_for_too_long_is_rejected_and_blocks_no_other(
    graph: Neo4jGraph, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(*(create(f"{BOOK}/b{number:02}", blurb=f"t{number}") for number in range(30)))
    await graph.apply(EPOCH, log.events)
    monkeypatch.setattr(scanning, "ROWS", 4)
    graph.settings = replace(graph.settings, longest_seconds=0.2)
    beats, looped = 0, asyncio.Event()

    def slow(scan: scanning.Scan, page: list[Any]) -> list[str]:
        time.sleep(0.1)
        return []

    async def beat() -> None:
        nonlocal beats
        while not looped.is_set():
            await asyncio.sleep(0.005)
            beats += 1

    monkeypatch.setattr(scanning, "_passing", slow)
    beating = asyncio.create_task(beat())
    with pytest.raises(Rejected, match="one by one"):
        await graph.fetch(Select(BOOK, ("id",), filter=Compare("blurb", "regexp", "9$")))
    looped.set()
    await beating
    assert beats > 10
