"""What only the tantivy index guarantees: about its folder and its checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pcloud.errors import Corrupt, Unavailable
from projections.graph.model import ModelGraph
from projections.search.contract import SearchQuery
from projections.search.tantivy import TantivySearch, open_tantivy_search
from tests.contracts.projections.conftest import Fold
from tests.contracts.projections.shelf import BOOK, EPOCH, SHELF, Log, create, update
from tests.full_disk import full_disk

TYPES = {BOOK: frozenset({"title"})}


@pytest.fixture
async def log(fold: Fold) -> Log:
    log = Log()
    log.install("shelf", SHELF)
    log.write(*(create(f"{BOOK}/{number:03}", title=f"Book {number}") for number in range(450)))
    await fold(log.events)
    return log


async def total(index: TantivySearch, text: str) -> int:
    return (await index.search(SearchQuery(text, TYPES))).total


async def test_a_second_process_is_refused(index: TantivySearch, small_graph: ModelGraph) -> None:
    with pytest.raises(Unavailable, match="open already"):
        await open_tantivy_search(index.folder, small_graph)


async def test_a_reopened_index_continues_where_it_was(
    index: TantivySearch, log: Log, fold: Fold, small_graph: ModelGraph
) -> None:
    await index.close()
    await index.close()
    again = await open_tantivy_search(index.folder, small_graph)
    assert again.checkpoint == index.checkpoint
    assert await total(again, "book") == 450
    more = log.write(update(f"{BOOK}/007", title="Atlas"))
    await small_graph.apply(EPOCH, more)
    await again.apply(EPOCH, log.events)
    assert (await total(again, "book"), await total(again, "atlas")) == (449, 1)
    await again.close()


async def test_files_of_a_process_that_died_in_a_commit_do_no_harm(
    index: TantivySearch, log: Log, small_graph: ModelGraph
) -> None:
    """tantivy names the list of a segment's deleted documents by the commit's number, and refuses to overwrite an
    existing one."""
    await index.close()
    managed = index.folder / ".managed.json"
    left = [f"{one.stem}.{number}.del" for one in index.folder.glob("*.store") for number in range(2_000)]
    for name in left:
        (index.folder / name).touch()
    managed.write_text(json.dumps([*json.loads(managed.read_text()), *left]))
    again = await open_tantivy_search(index.folder, small_graph)
    await small_graph.apply(EPOCH, log.write(update(f"{BOOK}/007", title="Atlas")))
    await again.apply(EPOCH, log.events)
    assert (await total(again, "book"), await total(again, "atlas")) == (449, 1)
    await again.close()


async def test_a_missing_index_is_made_from_the_graph(index: TantivySearch, log: Log, small_graph: ModelGraph) -> None:
    await index.close()
    shutil.rmtree(index.folder)
    again = await open_tantivy_search(index.folder, small_graph)
    assert again.checkpoint.sequence == 0
    await again.apply(EPOCH, log.events[:1])
    assert again.checkpoint == small_graph.checkpoint
    assert await total(again, "book") == 450
    await again.close()


async def test_an_index_of_another_version_is_rebuilt(tmp_path: Path, small_graph: ModelGraph) -> None:
    import tantivy

    folder = tmp_path / "other"
    folder.mkdir()
    tantivy.Index(tantivy.SchemaBuilder().add_text_field("other").build(), str(folder))
    index = await open_tantivy_search(folder, small_graph)
    assert index.checkpoint.sequence == 0
    await index.close()


async def test_a_damaged_index_is_corrupt(index: TantivySearch, log: Log, small_graph: ModelGraph) -> None:
    await index.close()
    (index.folder / "meta.json").write_text("garbage")
    with pytest.raises(Corrupt, match="delete"):
        await open_tantivy_search(index.folder, small_graph)


async def test_index_goes_on_when_a_full_disk_has_room_again(
    index: TantivySearch, log: Log, fold: Fold, small_graph: ModelGraph
) -> None:
    before = index.checkpoint
    changed = log.write(*(update(f"{BOOK}/{number:03}", title=f"Atlas {number}") for number in range(100)))
    await small_graph.apply(EPOCH, changed)
    with full_disk():
        for _ in range(3):
            with pytest.raises(Unavailable, match="can't be written"):
                await index.apply(EPOCH, changed)
            assert (index.checkpoint, await total(index, "atlas")) == (before, 0)
    await index.apply(EPOCH, changed)
    assert (await total(index, "book"), await total(index, "atlas")) == (350, 100)
    await index.close()
    again = await open_tantivy_search(index.folder, small_graph)
    assert (await total(again, "book"), await total(again, "atlas")) == (350, 100)
    await again.close()


async def test_app_that_is_removed_while_its_entities_are_read_does_not_stop_the_index(
    index: TantivySearch, log: Log, small_graph: ModelGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is ahead of the index, and refuses a type that it no longer has."""
    more = log.write(update(f"{BOOK}/007", title="Atlas"))
    await small_graph.apply(EPOCH, more)
    removed, fetch = log.remove("shelf"), small_graph.fetch

    async def overtaken(*arguments: Any, **more: Any) -> Any:
        await small_graph.apply(EPOCH, removed)
        return await fetch(*arguments, **more)

    monkeypatch.setattr(small_graph, "fetch", overtaken)
    assert (await index.apply(EPOCH, log.events)).sequence == log.events[-1].sequence
    assert await total(index, "atlas") == 0
