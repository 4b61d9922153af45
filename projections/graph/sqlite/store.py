"""The graph in one SQLite file: the contract `GraphStore`, with one connection that writes (in its own thread) and two that
read.

A read runs in the event loop, which for most queries is faster than a hand-over to a thread. If it takes longer than a
moment, it is interrupted and repeated in a thread, and refused after some seconds. It never sees half of a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pcloud.errors import Corrupt, Rejected
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.checkpoint import START, Checkpoint
from projections.forgotten import forgets
from projections.graph.catalog import NO_TYPES, Catalog
from projections.graph.catalog_history import BUILTIN, CatalogHistory, fillings
from projections.graph.contract import Aggregate, EntityState, Filter, Group, KnownTransaction, Row, Select
from projections.graph.fold import FORGOTTEN_RESULT, fold, touched
from projections.graph.relation import find_type
from projections.graph.sqlite.columns import ColumnsCache
from projections.graph.sqlite.connection import Deadline, empty_journal, errors_told, open_connection, told
from projections.graph.sqlite.dump import dump, page, read_entities
from projections.graph.sqlite.filling import Filling
from projections.graph.sqlite.layout import Layout, layout
from projections.graph.sqlite.migrate import fill, migrate
from projections.graph.sqlite.reading import Reader
from projections.graph.sqlite.version import VERSION, check_version
from projections.graph.sqlite.writing import existing, write
from projections.lock import acquire

__all__ = ["SqliteGraph", "open_sqlite_graph"]

CACHE_MB = 8
INLINE_SECONDS = 0.03
LONGEST_SECONDS = 5.0
PATIENT_SECONDS = 600.0
T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS view (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (type TEXT, id TEXT, version INTEGER NOT NULL, PRIMARY KEY (type, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (
  tx TEXT PRIMARY KEY, request TEXT NOT NULL, sequence INTEGER NOT NULL, result TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS transactions_by_time ON transactions (time);
"""


@dataclass(frozen=True, slots=True)
class _State:
    """What is committed; replaced as a whole, so that a read sees one consistent state."""

    checkpoint: Checkpoint
    history: CatalogHistory
    catalog: Catalog
    stored: Catalog
    layout: Layout
    levels: ColumnsCache

    @classmethod
    def make(cls, checkpoint: Checkpoint, history: CatalogHistory) -> _State:
        stored, visible = history.stored(), history.visible()
        return cls(checkpoint, history, visible, stored, layout(stored), ColumnsCache(visible))

    def at(self, checkpoint: Checkpoint) -> _State:
        return _State(checkpoint, self.history, self.catalog, self.stored, self.layout, self.levels)


async def open_sqlite_graph(path: Path | str, builtin: Catalog = NO_TYPES) -> SqliteGraph:
    """Open or create the store at `path`. `builtin`: types that exist before any app declares its own. Raises
    `Unavailable` if it is open elsewhere, `Corrupt` if the file is another program's."""
    store = SqliteGraph(Path(path), builtin)
    await store.open()
    return store


class SqliteGraph:
    name = "graph"
    version = VERSION

    def __init__(self, path: Path, builtin: Catalog) -> None:
        self.path, self._builtin = path, builtin
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="graph-write")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="graph-read")
        self._stack = contextlib.ExitStack()
        self.made = VERSION  # version of the fold that made it
        self._forgets = True  # the journal may hold forgotten data that a process left there when it died
        self._state = _State.make(START, CatalogHistory())

    @property
    def checkpoint(self) -> Checkpoint:
        return self._state.checkpoint

    @property
    def catalog(self) -> Catalog:
        return self._state.catalog

    # --- folding -----------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        before = self._state.checkpoint
        if before.epoch not in ("", epoch):
            raise Corrupt(f"the view {self.path} was folded from the log {before.epoch}, and this is the log {epoch}")
        new = [event for event in events if event.sequence > before.sequence]
        if not new:
            return before
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._apply, epoch, new)

    def _apply(self, epoch: str, events: list[StoredEvent]) -> Checkpoint:
        state = self._state
        with errors_told(self.path, folding=True), self._transaction(self._writer):
            for part, history in state.history.parts(events):
                if history is not state.history:
                    before, state = state.catalog, self._change_catalog(state, history)
                    filled = fillings(before, state.catalog)
                    kept = {name: fields for name, fields in filled.items() if name in state.stored.types}
                    fill(self._writer, state.layout, state.stored, kept)
                known = existing(self._writer, state.layout, touched(part, state.stored))
                write(self._writer, state.layout, fold(part, state.stored, known))
            at = state.checkpoint.after(epoch, events)
            state = state.at(at)
            self._save("checkpoint", [epoch, at.sequence, f"{at.hash:x}", at.missing, f"{at.tip:x}"])
        self._state = state
        self._forgets = self._forgets or forgets(events)
        if self._forgets and not self._filling.under_way:
            self._forgets = not empty_journal(self.path, self._writer)
        return state.checkpoint

    def _change_catalog(self, state: _State, history: CatalogHistory) -> _State:
        after = _State.make(state.checkpoint, history)
        migrate(self._writer, state.layout, after.layout, put_off=self._filling.under_way)
        self._save("catalogs", history)
        return after

    def _save(self, name: str, value: Any) -> None:
        self._writer.execute("INSERT OR REPLACE INTO view VALUES (?, ?)", (name, msgspec.json.encode(value).decode()))

    async def begin_filling(self) -> None:
        """For an empty file, or one whose filling continues: fold quickly from here until `end_filling`. Send no
        queries meanwhile."""
        if self._filling.under_way or not self.checkpoint.sequence:
            await asyncio.get_running_loop().run_in_executor(self._writing, self._filling.begin)

    async def end_filling(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writing, self._filling.end, self._state.layout)

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        longest = PATIENT_SECONDS if patient else None
        statements = 2 if select.children or select.after is not None else 1
        return await self._read(lambda reader, _: reader.fetch(select), longest, statements=statements)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self._read(lambda reader, _: reader.aggregate(type, filter, aggregates))

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self._read(lambda reader, _: reader.group(type, filter, by, limit))

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._read(lambda reader, _: reader.related(type, field, ids))

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        for ref in refs:
            find_type(self.catalog, f"{ref.app}/{ref.type}")
        state = self._state
        return await self._read(lambda _, connection: read_entities(connection, state.catalog, state.layout, refs))

    async def transaction(self, tx: str) -> KnownTransaction | None:
        sql = "SELECT request, sequence, result, time FROM transactions WHERE tx = ?"
        found = await self._read(lambda _, connection: connection.execute(sql, (tx,)).fetchone())
        if found is None:
            return None
        request, sequence, text, time = found
        result = msgspec.json.decode(text)
        revision = Revision(self.checkpoint.epoch, sequence)
        return KnownTransaction(request, revision, result, time, result == FORGOTTEN_RESULT)

    async def dump(self) -> Mapping[str, Any]:
        def take() -> Mapping[str, Any]:
            state = self._state
            return dump(self._writer, state.checkpoint, state.catalog, state.stored, state.layout)

        return await asyncio.get_running_loop().run_in_executor(self._writing, take)

    async def page(self, section: str, after: str, limit: int) -> dict[str, Any]:
        """A part of what `dump` gives: of a stored type's entities, or of 'tombstones' or 'transactions', the first entries after a key."""

        def take() -> dict[str, Any]:
            state = self._state
            return page(self._writer, state.stored, state.layout, section, after, limit)

        with errors_told(self.path):
            return await asyncio.get_running_loop().run_in_executor(self._writing, take)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections for `page`."""
        return (*sorted(self._state.stored.types), "tombstones", "transactions")

    async def _read(
        self,
        question: Callable[[Reader, sqlite3.Connection], T],
        longest: float | None = None,
        *,
        statements: int = 2,
    ) -> T:
        """`statements`: how many the query needs; a single one sees one moment by itself."""
        longest = longest or LONGEST_SECONDS
        try:
            return self._ask(question, self._inline, self._inline_deadline, INLINE_SECONDS, statements)
        except _TooLong:
            pass

        def again() -> T:
            return self._ask(question, self._aside, self._aside_deadline, longest, statements)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, again)
        except _TooLong:
            raise Rejected(f"the query takes longer than {longest:g} s: narrow its filter or ask for fewer") from None

    def _ask(
        self,
        question: Callable[[Reader, sqlite3.Connection], T],
        connection: sqlite3.Connection,
        deadline: Deadline,
        seconds: float,
        statements: int,
    ) -> T:
        state = self._state
        reader = Reader(connection, state.catalog, state.layout, state.levels)
        deadline.start(seconds)
        try:
            if statements == 1:
                return question(reader, connection)
            with self._transaction(connection):
                return question(reader, connection)
        except Exception as error:
            if deadline.passed:
                raise _TooLong from error
            if isinstance(error, sqlite3.Error):
                raise told(self.path, error, folding=False) from error
            raise
        finally:
            deadline.stop()

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Any:
        connection.execute("BEGIN")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    # --- lifetime ----------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Once, before anything else."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)

    def _open(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._acquire())
            self._writer = stack.enter_context(contextlib.closing(self._connect(cache_mb=CACHE_MB, write=True)))
            with errors_told(self.path):
                check_version(self.path, self._writer)
                self._check()
                self._writer.executescript(_TABLES)
                self._load()
            self._inline = stack.enter_context(contextlib.closing(self._connect(cache_mb=CACHE_MB, write=False)))
            self._aside = stack.enter_context(contextlib.closing(self._connect(cache_mb=2, write=False)))
            self._inline_deadline, self._aside_deadline = Deadline(self._inline), Deadline(self._aside)
            self._stack = stack.pop_all()

    def _acquire(self) -> Callable[[], None]:
        """Keep a second process out; returns a function that releases the lock."""
        return acquire(self.path).release

    def _connect(self, *, cache_mb: int, write: bool) -> sqlite3.Connection:
        return open_connection(self.path, cache_mb=cache_mb, write=write)

    def _check(self) -> None:
        """Find a damaged page now, not in the middle of an answer."""
        (found,) = self._writer.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise Corrupt(f"the view {self.path} is damaged ({found}): delete the file, it is built again from the log")

    def _load(self) -> None:
        saved = dict(self._writer.execute("SELECT name, value FROM view").fetchall())
        self.made = int(saved.get("version", VERSION))
        try:
            epoch, sequence, total, missing, *tip = msgspec.json.decode(saved.get("checkpoint", '["", 0, "0", []]'))
            ranges = tuple((first, last) for first, last in missing)
            checkpoint = Checkpoint(epoch, sequence, int(total, 16), ranges, int(tip[0], 16) if tip else 0)
            history = msgspec.json.decode(saved.get("catalogs", "{}"), type=CatalogHistory)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise Corrupt(
                f"the view {self.path} is damaged: delete the file, it is built again from the log"
            ) from error
        self._filling = Filling(self.path, self._writer, CACHE_MB, saved.get("filling"))
        self._state = _State.make(checkpoint, history)
        declared = history.apps.get(BUILTIN)
        with self._transaction(self._writer):
            self._save("version", self.made)
            if declared is None or declared.now != self._builtin:
                self._state = self._change_catalog(self._state, history.declare(BUILTIN, self._builtin))

    async def close(self) -> None:
        """Finish what is being written, then close; closing twice does nothing."""
        await asyncio.get_running_loop().run_in_executor(None, self._shut)

    def _shut(self) -> None:
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self._stack.close()


class _TooLong(Exception):
    """A read was interrupted by its deadline."""
