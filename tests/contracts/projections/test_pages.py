"""A graph store's content, read page by page: together the same as all at once, and the same from either store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projections.graph.neo4j import Neo4jSettings, open_neo4j_graph
from projections.graph.sqlite import open_sqlite_graph
from tests.contracts.projections.shelf import BOOK, BUILTIN, CRITIC, EPOCH, PERSON, SHELF, Log, create, delete

IDS = ["a", "B", "b", "z", "Z9", "0", "a-b", "a_b", "A", "-", "_"]


@pytest.fixture(params=["sqlite", "neo4j"])
async def paged(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "sqlite":
        store: Any = await open_sqlite_graph(tmp_path / "paged.sqlite", BUILTIN)
    else:
        settings: Neo4jSettings = request.getfixturevalue("neo4j_settings")
        store = await open_neo4j_graph(settings, BUILTIN)
        await store.clear()
    yield store
    await store.close()


def full() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    log.install("critic", CRITIC)
    for number, id in enumerate(IDS):
        log.write(create(f"{PERSON}/{id}", name=f"person {number}"))
        log.write(create(f"{BOOK}/{id}", {"author": [id]}, title=f"book {number}"))
    for id in ("gone", "Gone", "g-2"):
        log.write(create(f"{BOOK}/{id}", title="gone"))
        log.write(delete(f"{BOOK}/{id}"))
    return log


async def pages(graph: Any, section: str, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    after = ""
    while one := await graph.page(section, after, limit):
        assert len(one) <= limit and not found.keys() & one.keys()
        found.update(one)
        after = list(one)[-1]
    return found


async def test_pages_together_are_all_content_in_the_same_order(paged: Any, tmp_path: Path) -> None:
    log = full()
    await paged.apply(EPOCH, log.events)
    dump = await paged.dump()
    reference = await open_sqlite_graph(tmp_path / "reference.sqlite", BUILTIN)
    try:
        await reference.apply(EPOCH, log.events)
        assert set(paged.sections) == set(reference.sections) >= {BOOK, PERSON, "tombstones", "transactions"}
        for section in paged.sections:
            found = await pages(paged, section, 4)
            if section in ("tombstones", "transactions"):
                assert found == dump[section]
            else:
                assert {f"{section}/{id}": node for id, node in found.items()} == {
                    key: node for key, node in dump["entities"].items() if key.rpartition("/")[0] == section
                }
            assert list(found.items()) == list((await pages(reference, section, 7)).items())
        assert len(await pages(paged, BOOK, 1)) == len(IDS)
        assert await paged.page("no/Such", "", 4) == {}
    finally:
        await reference.close()
