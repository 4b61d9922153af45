"""The search index on tantivy: one document per entity, its values under keys of type and field, so that a query looks
only where its caller may look.

A document holds the graph's state at the time of writing, so this projection folds after the graph; the checkpoint is a
document of its own in the same commit. Batches that change nothing searched move the checkpoint only in memory: folding
them again costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import tantivy

from pcloud.errors import Corrupt, Rejected, Unavailable
from pcloud.event import Kind, StoredEvent
from projections.checkpoint import START, Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.contract import Filter, GraphReader, Has, HasRelated, IdIn, Order, Select, Some
from projections.lock import acquire
from projections.search.contract import SearchQuery, SearchResult
from projections.search.document import SearchDocument, content_of, select_for
from projections.search.query import Asker, make_index, make_schema
from projections.search.searched_fields import Searched, SearchedType, find_searched_types, news, reshaped, signature
from projections.search.tantivy_private import first_damaged, is_panic
from projections.versions import OtherVersion

__all__ = ["TantivySearch", "open_tantivy_search"]

VERSION = 3
# Versions whose indexes this program can use until they are rebuilt.
READABLE = frozenset({VERSION})
HEAP = 15_000_000  # bytes, the minimum for tantivy
CHUNK = 200  # entities read from the graph at once
COMMIT_AFTER = 10_000  # events that changed nothing searched
_META = "checkpoint"
Result = TypeVar("Result")


async def open_tantivy_search(folder: Path | str, graph: GraphReader) -> TantivySearch:
    """Open or create the index in `folder`; `graph` is the projection that documents are read from. Raises `Unavailable` if
    it is open elsewhere, `Corrupt` if the folder does not hold an index."""
    search = TantivySearch(Path(folder), graph)
    await search.open()
    return search


class TantivySearch:
    """A target of the projection loop (to be run `behind` the graph's), and the contract `SearchIndex`."""

    name = "search"
    version = VERSION

    def __init__(self, folder: Path, graph: GraphReader) -> None:
        self.folder = folder
        self._graph = graph
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="search-write")
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="search-read")
        self._checkpoint = self._committed = START
        self._known: Mapping[str, Mapping[str, str]] = {}
        self._hidden: Mapping[str, Collection[str]] = {}  # what was searched at any time, by type: its paths
        self._searched: tuple[Catalog, Mapping[str, SearchedType], Mapping[str, Mapping[str, str]]] | None = None
        self._closed = self._failed = False
        self._stack = contextlib.ExitStack()
        self.made = VERSION

    @property
    def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    # --- folding -----------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """Update the documents of the events' entities to the graph's state; the graph must have folded the events
        already."""
        return await self._on_one_catalog(lambda: self._apply(epoch, events))

    async def _on_one_catalog(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do `work`, again if a type or field left the graph's catalog meanwhile, as when an app is removed: the graph
        refuses it then. Documents are replaced, and nothing is committed before the end, so doing it twice is doing it once."""
        while True:
            catalog = self._graph.catalog
            try:
                return await work()
            except Rejected:
                if self._graph.catalog is catalog:
                    raise

    async def _apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        if self._checkpoint.epoch not in ("", epoch):
            raise Corrupt(
                f"the index {self.folder} is of the log {self._checkpoint.epoch}, and this is {epoch}: delete it"
            )
        await self._in_thread(self._restore_writer)
        await self._begin(epoch)
        searched_types, known = self._searched_types()
        new = [event for event in events if event.sequence > self._checkpoint.sequence]
        changed = known != self._known
        if changed:
            await self._index_news(searched_types)
        if stale := reshaped(new, known):
            changed = True
            for searched_type in searched_types.values():
                if searched_type.type in stale or not stale.isdisjoint(searched_type.relations.values()):
                    await self._index_whole(searched_type)
        if not new:
            return self._checkpoint
        touched = _touched(new, searched_types)
        checkpoint = self._checkpoint.after(epoch, new)
        if touched:
            await self._update(searched_types, touched)
        if touched or changed or checkpoint.sequence - self._committed.sequence > COMMIT_AFTER:
            await self._commit(checkpoint, searched_types)
        self._checkpoint = checkpoint
        return checkpoint

    async def begin(self, epoch: str) -> None:
        """A new index reads the graph's current state, which is faster than the whole log."""
        await self._on_one_catalog(lambda: self._begin(epoch))

    async def _begin(self, epoch: str) -> None:
        if not self._checkpoint.sequence and self._graph.checkpoint.sequence:
            await self._in_thread(self._restore_writer)
            self._checkpoint = await self._index_all(epoch, self._searched_types()[0])

    async def _index_all(self, epoch: str, searched_types: Mapping[str, SearchedType]) -> Checkpoint:
        at = self._graph.checkpoint
        await self._in_thread(self._delete_all)
        for searched_type in searched_types.values():
            await self._index_type(searched_type, None, new=True)
        checkpoint = replace(at, epoch=epoch)
        await self._commit(checkpoint, searched_types)
        return checkpoint

    async def _index_news(self, searched_types: Mapping[str, SearchedType]) -> None:
        """Schemas have changed: index again the entities with a value in a field that was not searched before.

        What is hidden now (its app was removed or rolled back) leaves with its type; the values of a hidden field stay
        in the documents, where they can't be queried. Changes to it are not followed meanwhile, so when it returns, all
        entities of its type are indexed again. The same happens if a field has changed its kind, as the graph may have
        dropped its values, and for a type that this index did not have: one that was hidden when the index began may have
        entities without any value.
        """
        for type_ in self._known.keys() - searched_types.keys():
            await self._in_thread(self._drop, type_)
        for type_, fields in news(self._known, searched_types).items():
            searched = {*self._hidden.get(type_, ()), *self._known.get(type_, ())}
            if type_ in self._known and searched.isdisjoint(one.path for one in fields):
                await self._index_type(searched_types[type_], Some(tuple({_has(one): None for one in fields})))
            else:
                await self._index_whole(searched_types[type_])

    async def _index_whole(self, searched_type: SearchedType) -> None:
        await self._in_thread(self._drop, searched_type.type)
        await self._index_type(searched_type, None)

    def _delete_all(self) -> None:
        with self._errors_told():
            self._writer.delete_all_documents()

    def _drop(self, type_: str) -> None:
        with self._errors_told():
            self._writer.delete_documents_by_term("type", type_)

    async def _index_type(self, searched_type: SearchedType, filter: Filter | None, *, new: bool = False) -> None:
        after: str | None = None
        while True:
            rows = await self._graph.fetch(
                select_for(searched_type, filter, order=(Order("id"),), first=CHUNK, after=after, cursor=True),
                patient=True,
            )
            await self._in_thread(self._replace, [], [content_of(searched_type, row) for row in rows], new)
            if len(rows) < CHUNK:
                return
            after = rows[-1]["_cursor"]

    async def _update(self, searched_types: Mapping[str, SearchedType], touched: Mapping[str, set[str]]) -> None:
        wanted: dict[str, set[str]] = defaultdict(set)
        for type_, ids in touched.items():
            if type_ in searched_types:
                wanted[type_] |= ids
        for searched_type in searched_types.values():
            for relation, target in searched_type.relations.items():
                for ids in _chunks(touched.get(target, ())):
                    pointing = Select(searched_type.type, ("id",), filter=HasRelated(relation, IdIn(ids)))
                    rows = await self._graph.fetch(pointing, patient=True)
                    wanted[searched_type.type].update(row["id"] for row in rows)
        keys = [f"{type_}/{id}" for type_, ids in touched.items() for id in ids]
        for key in await self._in_thread(self._asker.holders, keys):
            type_, _, id = key.rpartition("/")
            if type_ in searched_types:
                wanted[type_].add(id)
        for type_, ids in wanted.items():
            for chunk in _chunks(ids):
                rows = await self._graph.fetch(select_for(searched_types[type_], IdIn(chunk)), patient=True)
                gone = [f"{type_}/{id}" for id in chunk]
                await self._in_thread(self._replace, gone, [content_of(searched_types[type_], row) for row in rows])

    def _replace(self, gone: list[str], contents: list[SearchDocument], new: bool = False) -> None:
        """`new`: the index has none of these yet, so it need not look for them."""
        with self._errors_told():
            for key in () if new else (*gone, *(content.key for content in contents)):
                self._writer.delete_documents_by_term("key", key)
            for content in contents:
                document = tantivy.Document()
                document.add_text("key", content.key)
                document.add_text("type", content.type)
                for key in content.related:
                    document.add_text("related", key)
                document.add_json("text", dict(content.text))
                document.add_json("facet", dict(content.facet))
                document.add_json("number", dict(content.number))
                self._writer.add_document(document)

    async def _commit(self, checkpoint: Checkpoint, searched_types: Mapping[str, SearchedType]) -> None:
        known = signature(searched_types)
        hidden = _still_hidden(self._hidden, self._known, known)
        at = checkpoint
        body = msgspec.json.encode(
            [VERSION, at.epoch, at.sequence, f"{at.hash:x}", at.missing, known, hidden, f"{at.tip:x}"]
        )

        def commit() -> None:
            with self._errors_told():
                self._writer.delete_documents_by_term("key", _META)
                document = tantivy.Document()
                document.add_text("key", _META)
                document.add_bytes("meta", body)
                self._writer.add_document(document)
                self._writer.commit()
                self._index.reload()
                self._asker.refresh()

        await self._in_thread(commit)
        self._committed, self._known, self._hidden = checkpoint, known, hidden

    def _restore_writer(self) -> None:
        """After a failure, drop what was not committed: tantivy's writer accepts nothing more."""
        if not self._failed:
            return
        with self._errors_told():
            self._writer.rollback()
            self._writer.garbage_collect_files()  # the next commit would make files of the same name
        self._failed = False

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._writing, function, *args)

    def _searched_types(self) -> tuple[Mapping[str, SearchedType], Mapping[str, Mapping[str, str]]]:
        """The searched types of the graph's catalog, with their signature; made again when the catalog changes."""
        catalog = self._graph.catalog
        if self._searched is None or self._searched[0] is not catalog:
            searched_types = find_searched_types(catalog)
            self._searched = (catalog, searched_types, signature(searched_types))
        return self._searched[1:]

    # --- asking ------------------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> SearchResult:
        """Raises `Rejected` for a field that was not passed in, or a value that does not fit it."""
        if self._closed:
            raise Unavailable("the search index is closed")
        searched_types, _ = self._searched_types()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._asking, self._asker.ask, query, searched_types
            )
        except (ValueError, OSError) as error:
            raise Unavailable(f"the index {self.folder} can't be read: {error}") from error
        except BaseException as error:
            if is_panic(error):
                raise Unavailable(f"the search failed inside tantivy: {error}") from error
            raise

    # --- lifetime ----------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Once, before anything else."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.callback(acquire(self.folder).release)
            self._read()
            self._stack = stack.pop_all()

    def _read(self) -> None:
        if damaged := first_damaged(self.folder):
            raise Corrupt(
                f"the index {self.folder} is damaged (its file {damaged}): stop the node and delete the folder, it is built again"
            )
        try:
            self._index = self._make()
            self._writer = self._index.writer(HEAP, 1)
            # A process that died during a commit leaves files behind, and the next commit would make files of the same
            # name.
            self._writer.garbage_collect_files()
        except ValueError as error:
            raise Corrupt(
                f"the index {self.folder} is damaged ({error}): stop the node and delete the folder, it is built again"
            ) from error
        self._asker = Asker(self._index)
        if (body := self._asker.meta(_META)) is not None:
            self.made, *saved = msgspec.json.decode(body)
            if self.made not in READABLE | {VERSION}:
                raise OtherVersion(f"the index {self.folder}", self.made, VERSION)
            epoch, sequence, total, missing, self._known, self._hidden, tip = saved
            ranges = tuple((first, last) for first, last in missing)
            self._checkpoint = self._committed = Checkpoint(epoch, sequence, int(total, 16), ranges, int(tip, 16))

    def _make(self) -> tantivy.Index:
        folder = str(self.folder)
        if tantivy.Index.exists(folder) and tantivy.Index.open(folder).schema != make_schema():
            # An older version's index: its content is in the graph.
            shutil.rmtree(folder)
            self.folder.mkdir()
        return make_index(self.folder)

    async def close(self) -> None:
        """Finish what is being written and free the folder; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._shut)

    def _shut(self) -> None:
        self._writing.shutdown(wait=True)
        self._asking.shutdown(wait=True)
        self._writer.wait_merging_threads()
        self._stack.close()

    @contextlib.contextmanager
    def _errors_told(self) -> Generator[None]:
        try:
            yield
        except (ValueError, OSError) as error:
            self._failed = True
            raise Unavailable(f"the index {self.folder} can't be written: {error}") from error


def _touched(events: Sequence[StoredEvent], searched_types: Mapping[str, SearchedType]) -> dict[str, set[str]]:
    """By type, the ids of entities whose documents, or whose relatives' documents, the events may change."""
    searched: dict[str, set[str]] = defaultdict(set)
    for type_, searched_type in searched_types.items():
        searched[type_].update(one.field for one in searched_type.fields.values() if not one.relation)
    touched: dict[str, set[str]] = defaultdict(set)
    for event in events:
        type_ = f"{event.ref.app}/{event.ref.type}"
        if type_ not in searched:
            continue
        change = event.change
        if (
            event.kind is not Kind.UPDATED
            or change.link
            or change.unlink
            or not searched[type_].isdisjoint((*change.set, *change.unset))
        ):
            touched[type_].add(event.ref.id)
    return touched


def _still_hidden(
    hidden: Mapping[str, Collection[str]], before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> dict[str, list[str]]:
    """By type, the paths that were searched at some time and are not searched now."""
    found: dict[str, list[str]] = {}
    for type_ in hidden.keys() | before.keys():
        ever = {*hidden.get(type_, ()), *before.get(type_, {})}
        if gone := ever.difference(now.get(type_, {})):
            found[type_] = sorted(gone)
    return found


def _has(one: Searched) -> Filter:
    return HasRelated(one.relation, Has(one.field)) if one.relation else Has(one.field)


def _chunks(ids: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield tuple(ordered[start : start + CHUNK])
