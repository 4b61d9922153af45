"""Catalogs come, grow, shrink and come back; with any writes meanwhile, folding and searching give the same result as from the start."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcloud.event import Change, Kind
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import Compare, GraphStore, Select
from projections.graph.model import ModelGraph
from projections.graph.sqlite import open_sqlite_graph
from projections.search.contract import SearchQuery
from projections.search.tantivy import TantivySearch, open_tantivy_search
from tests.contracts.projections.shelf import BOOK, BUILTIN, CRITIC, EPOCH, SHELF, Log, create, update
from tests.unit.projections.logs import SEARCHED, STARS_AS_TEXT, cuts, logs

A = f"{BOOK}/a"


def grown(*fields: FieldDef) -> Catalog:
    """The shelf after an upgrade that adds fields to Book."""
    return Catalog(
        {**SHELF.types, BOOK: TypeDef(BOOK, {**SHELF.types[BOOK].fields, **{one.name: one for one in fields}})}
    )


SUBTITLE = FieldDef("subtitle", "String", search=("term",))
KEPT = FieldDef("kept", "Boolean", required=True, default=True, search=("bool",))


async def answers(index: TantivySearch, graph: GraphStore) -> Any:
    """Return everything that a caller with full access can find."""
    types = {
        name: frozenset({*SEARCHED, "name", "text", "book.title"})
        for name in graph.catalog.types
        if "core/" not in name
    }
    found: list[Any] = []
    for word in ("", "sea", "old", "none", "ärger"):
        result = await index.search(SearchQuery(word, types, first=50, count=("shape", "critic/rank", "critic/stars")))
        found.append((result.total, sorted(hit.ref for hit in result.hits), result.facets))
    return found


@settings(max_examples=25)
@given(st.data())
def test_search_index_that_followed_changes_equals_a_new_one(data: st.DataObject) -> None:
    log = data.draw(logs())
    ends = data.draw(cuts(log))

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            graph = ModelGraph(BUILTIN)
            live = await open_tantivy_search(Path(folder) / "live", graph)
            start = 0
            for end in ends:
                await graph.apply(EPOCH, log.events[start:end])
                await live.apply(EPOCH, log.events[start:end])
                start = end
            fresh = await open_tantivy_search(Path(folder) / "fresh", graph)
            await fresh.apply(EPOCH, log.events)
            try:
                assert await answers(live, graph) == await answers(fresh, graph)
                assert live.checkpoint == fresh.checkpoint
            finally:
                await live.close()
                await fresh.close()

    asyncio.run(run())


async def test_rollback_hides_new_fields_until_the_next_upgrade(
    tmp_path: Path,
) -> None:
    log = Log()
    log.install("shelf", SHELF)
    log.write(create(A, title="One"))
    log.install("shelf", grown(SUBTITLE))
    log.write(update(A, subtitle="the first"))
    graph = await open_sqlite_graph(tmp_path / "graph.db", BUILTIN)
    index = await open_tantivy_search(tmp_path / "index", graph)

    async def found() -> int:
        await graph.apply(EPOCH, log.events)
        await index.apply(EPOCH, log.events)
        return (await index.search(SearchQuery("first", {BOOK: frozenset({"title", "subtitle"})}))).total

    try:
        assert await found() == 1
        log.install("shelf", SHELF)
        log.write(update(A, title="Two"))
        assert await found() == 0
        assert "subtitle" not in graph.catalog.types[BOOK].fields
        log.install("shelf", grown(SUBTITLE))
        log.write(update(A, title="Three"))
        assert await found() == 1
        assert await graph.fetch(Select(BOOK, ("title", "subtitle"))) == [{"title": "Three", "subtitle": "the first"}]
    finally:
        await index.close()
        await graph.close()


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
async def test_field_changed_in_kind_and_back_counts_as_in_the_graph(tmp_path: Path, at_once: bool) -> None:
    """The graph drops the values with the kind; the index must not keep them until the old kind returns."""
    log = Log()
    log.install("shelf", SHELF)
    log.install("critic", CRITIC)
    log.write(create(A, fields={"critic/stars": 1}, title="One"))
    graph = ModelGraph(BUILTIN)
    index = await open_tantivy_search(tmp_path / "index", graph)

    async def counted() -> list[str]:
        await graph.apply(EPOCH, log.events)
        await index.apply(EPOCH, log.events)
        query = SearchQuery("", {BOOK: frozenset({"title", "critic/stars"})}, count=("critic/stars",))
        return [one.value for one in (await index.search(query)).facets["critic/stars"]]

    try:
        assert await counted() == ["1"]
        log.install("critic", STARS_AS_TEXT)
        if not at_once:
            await counted()
        log.install("critic", CRITIC)
        assert await counted() == []
        assert await graph.fetch(Select(BOOK, ("critic/stars",))) == [{"critic/stars": None}]
    finally:
        await index.close()


async def test_new_required_field_has_its_default_from_the_upgrade_on(tmp_path: Path) -> None:
    log = Log()
    log.install("shelf", SHELF)
    log.write(create(A, title="One"), create(f"{BOOK}/b", title="Two"))
    log.install("shelf", grown(KEPT))
    log.write(update(A, kept=False))
    log.install("shelf", SHELF)
    log.write(create(f"{BOOK}/c", title="Three"))
    log.install("shelf", grown(KEPT))
    graph = await open_sqlite_graph(tmp_path / "graph.db", BUILTIN)
    try:
        await graph.apply(EPOCH, log.events)
        rows = await graph.fetch(Select(BOOK, ("id", "kept")))
        assert {row["id"]: row["kept"] for row in rows} == {"a": False, "b": True, "c": True}
        assert len(await graph.fetch(Select(BOOK, ("id",), filter=Compare("kept", "eq", True)))) == 2
    finally:
        await graph.close()


async def test_optional_field_stays_empty_despite_its_default(tmp_path: Path) -> None:
    log = Log()
    log.install("shelf", SHELF)
    log.write(create(A))
    log.install("shelf", grown(FieldDef("mood", "String", default="fine")))
    graph = ModelGraph(BUILTIN)
    await graph.apply(EPOCH, log.events)
    assert await graph.fetch(Select(BOOK, ("mood",))) == [{"mood": None}]


async def test_hidden_type_is_not_found_and_returns_updated(tmp_path: Path) -> None:
    note = TypeDef("shelf/Note", {"text": FieldDef("text", "String", search=("term",))})
    larger = Catalog({**SHELF.types, note.name: note})
    log = Log()
    log.install("shelf", larger)
    log.write(create("shelf/Note/n", text="kept"), create("shelf/Note/m", text="kept too"))
    graph = ModelGraph(BUILTIN)
    index = await open_tantivy_search(tmp_path / "index", graph)

    async def found() -> int:
        await graph.apply(EPOCH, log.events)
        await index.apply(EPOCH, log.events)
        return (await index.search(SearchQuery("kept", {"shelf/Note": frozenset({"text"})}))).total

    try:
        assert await found() == 2
        log.install("shelf", SHELF)
        assert await found() == 0
        log.write(("shelf/Note/n", Kind.DELETED, Change()))
        assert await found() == 0
        log.install("shelf", larger)
        assert await found() == 1
    finally:
        await index.close()


async def test_index_begun_while_a_type_was_hidden_finds_all_of_it(tmp_path: Path) -> None:
    """Also an entity without a value in any searched field."""
    note = TypeDef("shelf/Note", {"text": FieldDef("text", "String", search=("term",))})
    larger = Catalog({**SHELF.types, note.name: note})
    log = Log()
    log.install("shelf", larger)
    log.write(create("shelf/Note/n", text="kept"), create("shelf/Note/empty"))
    log.install("shelf", SHELF)
    graph = ModelGraph(BUILTIN)
    index = await open_tantivy_search(tmp_path / "index", graph)

    async def found() -> int:
        await graph.apply(EPOCH, log.events)
        await index.apply(EPOCH, log.events)
        return (await index.search(SearchQuery("", {"shelf/Note": frozenset({"text"})}))).total

    try:
        assert await found() == 0
        log.install("shelf", larger)
        assert await found() == 2
    finally:
        await index.close()
