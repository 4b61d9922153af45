"""A new file is filled quickly, and equals any other in the end, whatever happens meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pcloud.errors import Corrupt
from projections.graph.contract import Compare, Select
from projections.graph.sqlite import SqliteGraph, filling, open_sqlite_graph
from tests.contracts.projections.shelf import BOOK, BUILTIN, EPOCH, SHELF, Log, create


@pytest.fixture
def log() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    log.write(*(create(f"{BOOK}/{number:03}", title=f"Book {number}", pages=number) for number in range(500)))
    return log


def layout_of(path: Path) -> set[tuple[str, str, str]]:
    with sqlite3.connect(path) as connection:
        return set(connection.execute("SELECT type, name, ifnull(sql, '') FROM sqlite_master"))


async def filled(graph: SqliteGraph, log: Log) -> None:
    await graph.begin_filling()
    await graph.apply(EPOCH, log.events)
    await graph.end_filling()


async def test_it_has_the_tables_indexes_and_rows_of_any_other_file(tmp_path: Path, log: Log) -> None:
    slowly, quickly = tmp_path / "slowly.sqlite", tmp_path / "quickly.sqlite"
    one, other = await open_sqlite_graph(slowly, BUILTIN), await open_sqlite_graph(quickly, BUILTIN)
    try:
        await one.apply(EPOCH, log.events)
        await filled(other, log)
        assert await one.dump() == await other.dump()
    finally:
        await one.close()
        await other.close()
    assert layout_of(slowly) == layout_of(quickly)


async def test_nothing_of_it_is_left_in_the_log_beside_the_file(tmp_path: Path, log: Log) -> None:
    graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    try:
        await filled(graph, log)
        assert (tmp_path / "graph.sqlite-wal").stat().st_size == 0
        assert [graph._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")] == [
            1,
            "wal",
        ]
    finally:
        await graph.close()


async def test_after_a_crash_the_filling_continues(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "graph.sqlite"
    graph = await open_sqlite_graph(path, BUILTIN)
    await graph.begin_filling()
    await graph.apply(EPOCH, log.events[:1])
    await graph.close()
    again = await open_sqlite_graph(path, BUILTIN)
    try:
        await filled(again, log)
        assert len(await again.fetch(Select(BOOK, ("id",), filter=Compare("pages", "ge", 0)))) == 500
    finally:
        await again.close()
    assert any("^Book:pages" in name for _, name, _ in layout_of(path))


async def test_a_file_in_filling_is_not_trusted_after_a_machine_crash(
    tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    await graph.begin_filling()
    await graph.apply(EPOCH, log.events)
    await graph.close()
    monkeypatch.setattr(filling, "_boot", lambda: "the next one")
    with pytest.raises(Corrupt, match="when the machine went down"):
        await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
