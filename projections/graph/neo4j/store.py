"""The graph on a Neo4j server: the contract `GraphStore`. The holder of the lease folds; other nodes wait until that is
done.

Each batch is one transaction that includes the checkpoint and is guarded by the checkpoint before it. So each event is
folded once, even if a process dies or another node folds meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import neo4j

from pcloud.errors import Corrupt, PCloudError, Rejected, Unavailable
from pcloud.event import StoredEvent
from pcloud.subject import Ref
from projections.checkpoint import START, Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.catalog_history import BUILTIN, CatalogHistory
from projections.graph.contract import Aggregate, EntityState, Filter, Group, KnownTransaction, Row, Select
from projections.graph.neo4j import reading
from projections.graph.neo4j.connection import TimedOut, connect, errors_told, open_session, run
from projections.graph.neo4j.dump import dump, page
from projections.graph.neo4j.gate import Gate
from projections.graph.neo4j.lease import Lease, LeaseLost
from projections.graph.neo4j.marks import Marks
from projections.graph.neo4j.names import Names
from projections.graph.neo4j.record import VERSION, ensure_record
from projections.graph.neo4j.scanning import found_by
from projections.graph.neo4j.schema import Schema, wipe_space
from projections.graph.neo4j.server import Server
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.state import READ, State, cut, position, read_state, text_of
from projections.graph.neo4j.users import join
from projections.graph.neo4j.writing import Writer, write_parts
from projections.position import PositionLog, check_follows

__all__ = ["Neo4jGraph", "open_neo4j_graph"]

FOLLOW_SECONDS = 0.05  # between two looks at a database that another node folds into
T = TypeVar("T")


async def open_neo4j_graph(settings: Neo4jSettings, builtin: Catalog, source: PositionLog | None = None) -> Neo4jGraph:
    """Connect, and make what is missing in the database; `builtin` are core's own types. `source`: the log, which tells
    whether events are missing where a batch does not follow the projection's checkpoint.

    Raises `Unavailable` if no server answers, `Rejected` for a wrong password, another version or a database with
    foreign data, `Corrupt` for a projection that another program version made.
    """
    store = Neo4jGraph(settings, await connect(settings), builtin, source)
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


class Neo4jGraph:
    name = "graph"
    version = made = VERSION

    def __init__(
        self, settings: Neo4jSettings, driver: neo4j.AsyncDriver, builtin: Catalog, source: PositionLog | None
    ) -> None:
        self.settings = settings
        self._driver, self._builtin, self._source = driver, builtin, source
        self._names = Names(settings.space)
        self._lease = Lease(self._names, settings.holder, settings.lease_seconds)
        self._server, self._schema = Server(settings, driver), Schema(settings, driver)
        self._ask, self._transaction = self._server.ask, self._server.transaction
        self._gate = Gate()
        self._marks = Marks(self._names, self._ask, self._transaction)
        self._shared = False  # with other nodes, as far as is known
        self._leads_until = 0.0  # by the monotonic clock: until then, only this node commits
        self._unsure = False  # whether the last batch was committed
        self._state = State.make(START, CatalogHistory(), self._names)

    @property
    def checkpoint(self) -> Checkpoint:
        return self._state.checkpoint

    @property
    def catalog(self) -> Catalog:
        return self._state.catalog

    # --- folding -----------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """As in the contract. Raises `LeaseLost` if the lease passed on while a batch was written: apply it again. Raises
        `Behind` if the batch does not follow the checkpoint because the database holds less than it did."""
        if self._unsure:
            await self._load()
        while True:
            before = self._state.checkpoint
            if before.epoch not in ("", epoch):
                raise Corrupt(f"{self._where} was folded from the log {before.epoch}, and this is the log {epoch}")
            new = [event for event in events if event.sequence > before.sequence]
            if not new:
                return before
            await check_follows(self._source, before, new[0].sequence)
            if not await self._fold(epoch, new):
                await self._follow(new[-1].sequence)

    async def _fold(self, epoch: str, events: list[StoredEvent]) -> bool:
        """Fold as the holder of the lease; False if another node holds it or has folded meanwhile."""
        before = self._state
        parts = await asyncio.to_thread(cut, events, before, self._names)
        after = parts[-1][1]
        if after.history is not before.history:
            if not (await self._peek())[0]:
                return False
            await self._schema.make(before.layout, [state.layout for _, state in parts])
        self._unsure = True
        began = time.monotonic()
        try:
            async with self._transaction(write=True) as tx:
                held = await self._lease.take(tx)
                self._shared = held.shared
                if not held.token:
                    self._unsure = False
                    return False
                if (held.epoch, held.sequence) != (before.checkpoint.epoch, before.checkpoint.sequence):
                    await tx.commit()  # the lease; the next look shows what another node folded meanwhile
                    await self._load()
                    return True
                await write_parts(tx, before, parts)
                at = before.checkpoint.after(epoch, events)
                changed = {"catalogs": text_of(after.history)} if after.history is not before.history else {}
                await self._lease.write(tx, position(at) | changed)
                if held.shared:
                    await self._marks.begin()
                async with self._gate.committing():
                    await tx.commit()
        except TimedOut as error:
            raise LeaseLost(
                f"{self._where}: a batch took longer than the lease of {self.settings.lease_seconds:g} s, and was rolled back; "
                "the node that has the lease now folds it again"
            ) from error
        self._unsure = False
        self._state = replace(after, checkpoint=at)
        self._leads_until = began + self.settings.lease_seconds
        if held.shared:
            await self._marks.end()
        return True

    async def _follow(self, sequence: int) -> None:
        """Wait until another node has folded up to `sequence`, or the lease is free."""
        while True:
            free, at = await self._peek()
            if free or at >= sequence:
                return await self._load()
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _peek(self) -> tuple[bool, int]:
        [(free, at)] = await self._ask(self._lease.peek, self._lease.parameters)
        return free, at

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        meter = reading.Meter(select.budget) if select.budget is not None else None
        return await self._ask_for(lambda state: reading.fetch(state.catalog, state.layout, select, meter), patient)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self._ask_for(
            lambda state: reading.aggregate(state.catalog, state.layout, type, filter, aggregates)
        )

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self._ask_for(lambda state: reading.group(state.catalog, state.layout, type, filter, by, limit))

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._ask_for(lambda state: reading.related(state.catalog, state.layout, type, field, ids))

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        return await self._ask_for(lambda state: reading.entities(state.catalog, state.layout, refs)) if refs else {}

    async def transaction(self, tx: str) -> KnownTransaction | None:
        return await self._ask_for(lambda state: reading.known_transaction(state.layout, state.checkpoint.epoch, tx))

    async def dump(self) -> Mapping[str, Any]:
        async def take() -> Mapping[str, Any]:
            state = self._state
            async with self._transaction(write=False) as tx:
                return await dump(tx, state.checkpoint, state.catalog, state.layout)

        return await self._whole(take)

    async def page(self, section: str, after: str, limit: int) -> dict[str, Any]:
        """A part of what `dump` gives: of a stored type's entities, or of 'tombstones' or 'transactions', the first entries after a key."""

        async def take() -> dict[str, Any]:
            async with self._transaction(write=False) as tx:
                return await page(tx, self._state.layout, section, after, limit)

        return await self._whole(take)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections for `page`."""
        return (*sorted(self._state.layout.labels), "tombstones", "transactions")

    async def check(self) -> None:
        """Check that the server answers, and whether other nodes have come; raises `Unavailable` if it does not answer
        or its database is another one than before."""
        at = self._state.checkpoint
        text = f"MATCH (v:{self._names.view}) RETURN coalesce(v.shared, false), v.epoch, v.sequence"
        found = await self._ask(text, {}, self.settings.connect_seconds)
        if not any(at.epoch in ("", epoch) and sequence >= at.sequence for _, epoch, sequence in found):
            raise Unavailable(f"{self._where} holds other data than before: it is checked again")
        self._shared = any(shared for shared, *_ in found)

    async def _whole(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return an answer that saw no half-written batch, whichever node folds."""
        if not self._shared or time.monotonic() < self._leads_until:
            return await self._gate.ask(ask)
        return await self._marks.whole(lambda: self._gate.ask(ask))

    async def _ask_for(self, make: Callable[[State], reading.CypherQuery[T]], patient: bool = False) -> T:
        seconds = self.settings.patient_seconds if patient else self.settings.longest_seconds

        async def ask() -> T:
            question = make(self._state)
            parameters = dict(question.parameters)
            for scan in question.scans:
                parameters[scan.parameter] = await found_by(scan, self._ask, seconds)
            return question.answer(await self._ask(question.text, parameters, seconds, question.meter))

        try:
            return await self._whole(ask)
        except TimedOut as error:
            raise Rejected(
                f"the query takes longer than {seconds:g} s: narrow its filter or ask for fewer; `regexp`, and words of a field without "
                "`@search(by: [term])`, test all values one by one"
            ) from error

    # --- lifetime ----------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        with errors_told(self.settings):
            async with open_session(self._driver) as session:
                await ensure_record(session, self._names, self.settings)
                await (await run(session, self._marks.share, {"holder": self.settings.holder})).consume()
                await join(session, self._names, self.settings.holder)
        await self.check()
        await self._load()
        await self._declare_builtin()
        await self._schema.make(self._state.layout, [self._state.layout])

    async def _declare_builtin(self) -> None:
        declared = self._state.history.apps.get(BUILTIN)
        if declared is not None and declared.now == self._builtin:
            return
        before = self._state
        after = State.make(before.checkpoint, before.history.declare(BUILTIN, self._builtin), self._names)
        await self._schema.make(before.layout, [after.layout])
        async with self._transaction(write=True) as tx:
            writer = Writer(tx, after.layout)
            await writer.forget_fields(before.layout.lost(after.layout))
            await writer.settle_words(before.layout)
            text = f"MATCH (v:{self._names.view}) WHERE v.sequence = $sequence SET v.catalogs = $catalogs"
            await run(tx, text, {"sequence": before.checkpoint.sequence, "catalogs": text_of(after.history)})
            await tx.commit()
        await self._load()

    async def _load(self) -> None:
        """Read the projection's current position."""
        found = await self._ask(f"MATCH (v:{self._names.view}) RETURN {READ}", {})
        if len(found) != 1:
            raise Corrupt(f"{self._where} has lost its record: build it again with `pcloud graph rebuild`")
        self._state = read_state(found[0], self._names, self._where)
        self._unsure = False

    async def clear(self) -> None:
        """Start again, empty."""
        with errors_told(self.settings):
            await wipe_space(self._driver, self._names, schema=False)
        self._lease.token, self._leads_until = 0, 0.0
        self._state = State.make(START, CatalogHistory(), self._names)
        await self.open()

    async def close(self, *, abruptly: bool = False) -> None:
        """Give up the lease, so that another node does not wait for its expiry; closing twice does nothing. `abruptly`:
        the server does not answer anyway."""
        driver, token = self._driver, self._lease.token
        self._lease.token = 0
        if token and not abruptly:
            with contextlib.suppress(PCloudError):
                await self._server.write(self._lease.release, {"holder": self.settings.holder, "token": token})
        await driver.close()

    @property
    def _where(self) -> str:
        return f"the graph on the Neo4j server at {self.settings.address}"
