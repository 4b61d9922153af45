"""What only the SQLite store guarantees: about its file, and about queries that take too long."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pcloud.errors import Corrupt, Rejected, Unavailable
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import Compare, Every, HasRelated, IdIn, Order, Select
from projections.graph.sqlite import SqliteGraph, open_sqlite_graph, store
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH, PERSON, SHELF, Log, create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.sqlite"


@pytest.fixture
async def graph(path: Path) -> AsyncIterator[SqliteGraph]:
    opened = await open_sqlite_graph(path, BUILTIN)
    yield opened
    await opened.close()


@pytest.fixture
def log() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    log.write(*(create(f"{BOOK}/{number:03}", title=f"Book {number}", pages=number) for number in range(500)))
    return log


async def test_a_second_process_is_refused(graph: SqliteGraph, path: Path) -> None:
    with pytest.raises(Unavailable, match="open already"):
        await open_sqlite_graph(path, BUILTIN)


async def test_closing_frees_the_file_and_can_be_repeated(graph: SqliteGraph, path: Path, log: Log) -> None:
    await graph.apply(EPOCH, log.events)
    await graph.close()
    await graph.close()
    again = await open_sqlite_graph(path, BUILTIN)
    assert (again.checkpoint, again.catalog) == (graph.checkpoint, graph.catalog)
    await again.close()


async def test_a_foreign_file_is_corrupt_and_stays_as_it_was(path: Path) -> None:
    path.write_bytes(b"not a database, but somebody's diary " * 100)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="delete"):
        await open_sqlite_graph(path, BUILTIN)
    assert path.read_bytes() == before


async def test_a_damaged_page_is_corrupt(graph: SqliteGraph, path: Path, log: Log) -> None:
    await graph.apply(EPOCH, log.events)
    await graph.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(Corrupt, match="damaged"):
        opened = await open_sqlite_graph(path, BUILTIN)
        await opened.close()


async def test_a_store_of_another_version_is_not_read(graph: SqliteGraph, path: Path) -> None:
    await graph.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE view SET value = '999' WHERE name = 'version'")
    connection.close()
    with pytest.raises(Corrupt, match="made by a newer PCloud"):
        await open_sqlite_graph(path, BUILTIN)


async def test_a_full_disk_is_unavailable_and_leaves_the_store_as_it_was(graph: SqliteGraph, log: Log) -> None:
    await graph.apply(EPOCH, log.events[:1])
    before = await graph.dump()
    (pages,) = graph._writer.execute("PRAGMA page_count").fetchone()
    graph._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        await graph.apply(EPOCH, log.events)
    assert await graph.dump() == before
    graph._writer.execute("PRAGMA max_page_count = 1000000")
    await graph.apply(EPOCH, log.events)
    assert graph.checkpoint.sequence == len(log.events)


async def test_builtin_types_of_a_newer_program_are_added(graph: SqliteGraph, path: Path, log: Log) -> None:
    await graph.apply(EPOCH, log.events)
    await graph.close()
    newer = Catalog({**BUILTIN.types, "core/New": TypeDef("core/New", {"name": FieldDef("name", "String")})})
    again = await open_sqlite_graph(path, newer)
    await again.apply(EPOCH, log.write(create("core/New/a", name="A")))
    assert await again.fetch(Select("core/New", ("name",))) == [{"name": "A"}]
    await again.close()


async def test_a_slow_query_is_refused_and_the_event_loop_goes_on(
    graph: SqliteGraph, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LONGEST_SECONDS", 0.3)
    await graph.apply(EPOCH, log.events)
    slow = Select(BOOK, ("id",), filter=Compare("blurb", "regexp", "x"), order=(Order("blurb"),))
    for connection, deadline in ((graph._inline, graph._inline_deadline), (graph._aside, graph._aside_deadline)):
        connection.set_progress_handler(deadline._look, 10)
        connection.create_function("matches", 2, lambda text, regexp: time.sleep(0.001))  # pyright: ignore[reportUnknownLambdaType]
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    with pytest.raises(Rejected, match="longer"):
        await graph.fetch(slow)
    ticking.cancel()
    assert len(ticks) > 5
    assert len(await graph.fetch(Select(BOOK, ("id",)))) == 500


async def test_the_pages_of_a_timeline_come_from_an_index(graph: SqliteGraph, log: Log) -> None:
    await graph.apply(EPOCH, log.events)
    statements: list[str] = []
    graph._inline.set_trace_callback(statements.append)
    order = (Order("printed", descending=True),)
    page = await graph.fetch(Select(BOOK, ("title",), order=order, first=2, cursor=True))
    await graph.fetch(Select(BOOK, ("title",), order=order, first=2, after=page[-1]["_cursor"]))
    await graph.fetch(Select(BOOK, ("title",), filter=Compare("pages", "between", (3, 9))))
    await graph.fetch(Select(BOOK, ("title",), filter=IdIn(("001",))))
    await graph.fetch(Select(BOOK, ("title",), filter=Compare("title", "allofterms", "book 3")))
    await graph.fetch(Select(PERSON, ("name",), filter=HasRelated("books", Compare("title", "eq", "Book 3"))))
    graph._inline.set_trace_callback(None)
    selects = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(selects) == 6
    for statement in selects:
        plan = [row[3] for row in graph._inline.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert any("INDEX" in step for step in plan), (statement, plan)
        assert not any(step.startswith("SCAN t") and "INDEX" not in step for step in plan), (statement, plan)


@pytest.mark.parametrize(
    "alike", [Compare("title", "eq", "Book 3"), Compare("sold", "eq", True), Compare("genre", "eq", "NOVEL")]
)
async def test_a_timeline_of_pictures_with_a_shared_value_is_not_sorted(
    graph: SqliteGraph, log: Log, alike: Compare
) -> None:
    await graph.apply(EPOCH, log.events)
    statements: list[str] = []
    graph._inline.set_trace_callback(statements.append)
    older = Every((alike, Compare("printed", "le", "2024-05-01T10:00:00.000Z")))
    for filter in (alike, older):
        await graph.fetch(Select(BOOK, ("title",), filter=filter, order=(Order("printed", descending=True),), first=2))
    graph._inline.set_trace_callback(None)
    for statement in [one for one in statements if one.startswith("SELECT")]:
        (step,) = [row[3] for row in graph._inline.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert f"INDEX shelf/^Book:{alike.field}+printed " in step, (statement, step)


async def test_a_store_of_a_removed_type_keeps_its_table_for_later(graph: SqliteGraph, log: Log) -> None:
    log.remove("shelf")
    log.install("shelf", SHELF)
    await graph.apply(EPOCH, log.events)
    assert len(await graph.fetch(Select(BOOK, ("id",)))) == 500


async def test_folded_changes_and_the_checkpoint_are_stored_together(
    graph: SqliteGraph, path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two would show the difference."""
    await graph.apply(EPOCH, log.events[:1])

    def dies(name: str, value: object) -> None:
        raise KeyboardInterrupt if name == "checkpoint" else AssertionError(name)

    monkeypatch.setattr(graph, "_save", dies)
    with pytest.raises(KeyboardInterrupt):
        graph._apply(EPOCH, log.events[1:])
    await graph.close()
    again = await open_sqlite_graph(path, BUILTIN)
    try:
        assert again.checkpoint.sequence == 1
        assert await again.fetch(Select(BOOK, ("id",))) == []
    finally:
        await again.close()
