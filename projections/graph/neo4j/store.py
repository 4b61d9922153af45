"""The graph on a Neo4j server: the port `GraphStore`. Whoever holds the lease folds; the others wait until that is done.

Each batch is one transaction with the checkpoint in it, guarded by the checkpoint that it goes on from: whatever dies, and whoever else
folds meanwhile, each event is folded once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString, TypeVar, cast

import msgspec
import neo4j

from pcloud.errors import Corrupt, PCloudError, Rejected, Unavailable
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.checkpoint import START, Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.fold import FORGOTTEN_RESULT, fold, touched, transactions
from projections.graph.history import BUILTIN, CatalogHistory, fillings
from projections.graph.neo4j import reading
from projections.graph.neo4j.connection import TimedOut, connect, errors_told, run
from projections.graph.neo4j.dump import dump, page
from projections.graph.neo4j.gate import Gate
from projections.graph.neo4j.layout import Layout, layout
from projections.graph.neo4j.lease import Lease, LeaseLost
from projections.graph.neo4j.marks import Marks
from projections.graph.neo4j.names import Names
from projections.graph.neo4j.scanning import found_by
from projections.graph.neo4j.schema import make_own, make_schema, wipe_space
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.users import join
from projections.graph.neo4j.writing import Writer
from projections.graph.port import Aggregate, Filter, Group, KnownTransaction, Node, Row, Select
from projections.position import PositionLog, check_follows

__all__ = ["Neo4jGraph", "open_neo4j_graph"]

VERSION = 1
FETCHED = 100  # records that the server sends at once where what they take is counted
FOLLOW_SECONDS = 0.05  # between two looks at a database that another node folds into
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _State:
    """What is committed; replaced as a whole, so that a read takes one consistent picture."""

    checkpoint: Checkpoint
    history: CatalogHistory
    catalog: Catalog
    stored: Catalog
    layout: Layout

    @classmethod
    def make(cls, checkpoint: Checkpoint, history: CatalogHistory, names: Names) -> _State:
        stored = history.stored()
        return cls(checkpoint, history, history.visible(), stored, layout(stored, names))


async def open_neo4j_graph(settings: Neo4jSettings, builtin: Catalog, source: PositionLog | None = None) -> Neo4jGraph:
    """Connect, and make what is missing in the database; `builtin` are core's own types. `source`: the log, which is asked whether there
    is a hole where a batch does not adjoin.

    Raises `Unavailable` when no server answers, `Rejected` for a wrong password, another version, or a database that has something else
    in it, `Corrupt` for a view that another version of this program made.
    """
    store = Neo4jGraph(settings, await connect(settings), builtin, source)
    try:
        await store._open()
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
        self._gate = Gate()
        self._marks = Marks(self._names, self._ask, self._transaction)
        self._shared = False  # with other nodes, as far as is known
        self._leads_until = 0.0  # by the monotonic clock: nobody else commits before
        self._unsure = False  # whether the last batch was committed
        self._made: set[str] = set()  # constraints and indexes that are known to be there
        self._state = _State.make(START, CatalogHistory(), self._names)

    @property
    def checkpoint(self) -> Checkpoint:
        return self._state.checkpoint

    @property
    def catalog(self) -> Catalog:
        return self._state.catalog

    # --- folding -----------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """As the port says. Raises `LeaseLost` when the lease went on while a batch was written: apply it again; `Behind` where the
        batch does not adjoin, since the database holds less than it did."""
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
        """Fold as the holder of the lease; False when another one is, or has folded meanwhile."""
        before = self._state
        parts = await asyncio.to_thread(_parts, events, before, self._names)
        after = parts[-1][1]
        if after.history is not before.history:
            if not (await self._peek())[0]:
                return False
            await self._make_schema(before.layout, [state.layout for _, state in parts])
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
                    await tx.commit()  # the lease; what another one folded meanwhile is looked at next
                    await self._load()
                    return True
                await self._write(tx, before, parts)
                at = before.checkpoint.after(epoch, events)
                changed = {"catalogs": _text(after.history)} if after.history is not before.history else {}
                await self._lease.write(tx, _position(at) | changed)
                if held.shared:
                    await self._marks.begin()
                async with self._gate.committing():
                    await tx.commit()
        except TimedOut as error:
            raise LeaseLost(
                f"{self._where}: a batch took longer than the lease of {self.settings.lease_seconds:g} s, and was rolled back; it is "
                "folded again by whoever has the lease now"
            ) from error
        self._unsure = False
        self._state = replace(after, checkpoint=at)
        self._leads_until = began + self.settings.lease_seconds
        if held.shared:
            await self._marks.end()
        return True

    async def _write(
        self, tx: neo4j.AsyncTransaction, before: _State, parts: list[tuple[list[StoredEvent], _State]]
    ) -> None:
        at = before
        for members, state in parts:
            writer = Writer(tx, state.layout)
            if state.history is not at.history:
                await writer.forget_fields(at.layout.lost(state.layout))
                await writer.settle_words(at.layout)
                await writer.fill(fillings(at.catalog, state.catalog))
            known = await writer.existing(touched(members, state.stored))
            await writer.write(await asyncio.to_thread(fold, members, state.stored, known))
            at = state

    async def _follow(self, sequence: int) -> None:
        """Until another node has folded up to `sequence`, or the lease is free."""
        while True:
            free, at = await self._peek()
            if free or at >= sequence:
                return await self._load()
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _peek(self) -> tuple[bool, int]:
        [(free, at)] = await self._ask(self._lease.peek, self._lease.parameters)
        return free, at

    async def _make_schema(self, before: Layout, after: Sequence[Layout]) -> None:
        wanted = {name: statement for one in after for name, statement in one.schema.items()}
        unwanted = before.schema.keys() - after[-1].schema.keys()
        for name in unwanted:
            wanted.pop(name, None)
        if not unwanted and wanted.keys() <= self._made:
            return
        with errors_told(self.settings):
            async with self._driver.session() as session:
                await make_schema(session, wanted, unwanted)
        self._made = (self._made | wanted.keys()) - unwanted

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        meter = reading.Meter(select.budget) if select.budget is not None else None
        return await self._question(lambda state: reading.fetch(state.catalog, state.layout, select, meter), patient)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self._question(
            lambda state: reading.aggregate(state.catalog, state.layout, type, filter, aggregates)
        )

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self._question(lambda state: reading.group(state.catalog, state.layout, type, filter, by, limit))

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._question(lambda state: reading.related(state.catalog, state.layout, type, field, ids))

    async def nodes(self, refs: Sequence[Ref]) -> dict[Ref, Node]:
        return await self._question(lambda state: reading.nodes(state.catalog, state.layout, refs)) if refs else {}

    async def transaction(self, tx: str) -> KnownTransaction | None:
        text = f"MATCH (t:{self._names.transaction} {{tx: $tx}}) RETURN t.request, t.sequence, t.result, t.time"
        found = await self._whole(lambda: self._ask(text, {"tx": tx}))
        if not found:
            return None
        request, sequence, result, at = found[0]
        result = msgspec.json.decode(result)
        return KnownTransaction(
            request, Revision(self.checkpoint.epoch, sequence), result, at, result == FORGOTTEN_RESULT
        )

    async def dump(self) -> Mapping[str, Any]:
        async def take() -> Mapping[str, Any]:
            state = self._state
            async with self._transaction(write=False) as tx:
                return await dump(tx, state.checkpoint, state.catalog, state.layout)

        return await self._whole(take)

    async def page(self, section: str, after: str, limit: int) -> dict[str, Any]:
        """A part of what `dump` gives: of a stored type's nodes, or of 'tombstones' or 'transactions', the first entries after a key."""

        async def take() -> dict[str, Any]:
            async with self._transaction(write=False) as tx:
                return await page(tx, self._state.layout, section, after, limit)

        return await self._whole(take)

    @property
    def sections(self) -> tuple[str, ...]:
        """All that `page` can give."""
        return (*sorted(self._state.layout.labels), "tombstones", "transactions")

    async def check(self) -> None:
        """Ask the server for a sign of life, and whether others have come; raises `Unavailable` when it gives none, and when it is not the
        database that it was."""
        at = self._state.checkpoint
        text = f"MATCH (v:{self._names.view}) RETURN coalesce(v.shared, false), v.epoch, v.sequence"
        found = await self._ask(text, {}, self.settings.connect_seconds)
        if not any(at.epoch in ("", epoch) and sequence >= at.sequence for _, epoch, sequence in found):
            raise Unavailable(f"{self._where} holds something else than it did: it is looked at again")
        self._shared = any(shared for shared, *_ in found)

    async def _whole(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question that met no batch half way, whoever folds."""
        if not self._shared or time.monotonic() < self._leads_until:
            return await self._gate.ask(ask)
        return await self._marks.whole(lambda: self._gate.ask(ask))

    async def _question(self, make: Any, patient: bool = False) -> Any:
        seconds = self.settings.patient_seconds if patient else self.settings.longest_seconds

        async def ask() -> Any:
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

    async def _ask(
        self,
        text: str,
        parameters: Mapping[str, Any],
        seconds: float | None = None,
        meter: reading.Meter | None = None,
    ) -> list[list[Any]]:
        seconds = seconds or self.settings.longest_seconds
        with errors_told(self.settings):
            # The server ends a question that takes long; the second clock is for a server that does not answer at all.
            async with asyncio.timeout(seconds + self.settings.connect_seconds):
                size = -1 if meter is None else FETCHED
                async with self._driver.session(fetch_size=size, default_access_mode=neo4j.READ_ACCESS) as session:
                    query = neo4j.Query(cast(LiteralString, text), timeout=seconds)
                    result = await session.run(query, dict(parameters))
                    if meter is None:
                        return await result.values()
                    records: list[list[Any]] = []
                    async for record in result:
                        records.append(record.values())
                        meter.arrived(records[-1][0])
                    return records

    @contextlib.asynccontextmanager
    async def _transaction(self, *, write: bool) -> AsyncIterator[neo4j.AsyncTransaction]:
        """Rolled back unless it is committed within."""
        seconds = self.settings.lease_seconds if write else self.settings.patient_seconds
        with errors_told(self.settings):
            async with (
                asyncio.timeout(seconds + self.settings.connect_seconds),
                self._driver.session(default_access_mode=neo4j.WRITE_ACCESS if write else neo4j.READ_ACCESS) as session,
                await session.begin_transaction(timeout=seconds) as tx,
            ):
                yield tx

    # --- lifetime ----------------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        names, holder = self._names, {"holder": self.settings.holder}
        with errors_told(self.settings):
            async with self._driver.session() as session:
                await self._check_empty(session)
                views = await (await run(session, f"MATCH (v:{names.view}) RETURN v.version")).values()
                if not views:
                    await make_own(session, names)
                    text = (
                        f"MERGE (v:{names.view} {{name: 'graph'}}) ON CREATE SET v:{names.any_view}, v.version = $version, v.token = 0, "
                        "v.expires = 0, v.catalogs = '{}', v.space = $space, v.owner = $owner, v.maker = $holder, v += $position"
                    )
                    values = {"version": VERSION, "space": self.settings.space, "owner": self.settings.owner, **holder}
                    await (await run(session, text, {**values, "position": _position(START)})).consume()
                elif views != [[VERSION]]:
                    raise Corrupt(
                        f"{self._where} was made by another version of PCloud: build it again with `pcloud graph rebuild`"
                    )
                await (await run(session, self._marks.share, holder)).consume()
                await join(session, names, self.settings.holder)
        await self.check()
        await self._load()
        await self._declare_builtin()
        await self._make_schema(self._state.layout, [self._state.layout])

    async def _check_empty(self, session: neo4j.AsyncSession) -> None:
        """Before anything is made: where no version of this cloud's graph is yet, nothing of anybody's may be."""
        where = f"the database at {self.settings.address}"
        owners = await (await run(session, f"MATCH (v:{self._names.any_view}) RETURN DISTINCT v.owner")).values()
        if any(owner != self.settings.owner for (owner,) in owners):
            raise Rejected(f"{where} has another cloud's graph in it: give this one a Neo4j server of its own")
        if not owners and (found := await (await run(session, "MATCH (n) RETURN labels(n) LIMIT 1")).values()):
            raise Rejected(
                f"{where} has someone else's data in it (such as a node with the labels {found[0][0]}): "
                "give PCloud a Neo4j server of its own"
            )

    async def _declare_builtin(self) -> None:
        declared = self._state.history.apps.get(BUILTIN)
        if declared is not None and declared.now == self._builtin:
            return
        before = self._state
        after = _State.make(before.checkpoint, before.history.declare(BUILTIN, self._builtin), self._names)
        await self._make_schema(before.layout, [after.layout])
        async with self._transaction(write=True) as tx:
            writer = Writer(tx, after.layout)
            await writer.forget_fields(before.layout.lost(after.layout))
            await writer.settle_words(before.layout)
            text = f"MATCH (v:{self._names.view}) WHERE v.sequence = $sequence SET v.catalogs = $catalogs"
            await run(tx, text, {"sequence": before.checkpoint.sequence, "catalogs": _text(after.history)})
            await tx.commit()
        await self._load()

    async def _load(self) -> None:
        """Where the view stands by now."""
        text = f"MATCH (v:{self._names.view}) RETURN v.epoch, v.sequence, v.hash, v.missing, v.tip, v.catalogs"
        found = await self._ask(text, {})
        if len(found) != 1:
            raise Corrupt(f"{self._where} has lost its record: build it again with `pcloud graph rebuild`")
        epoch, sequence, total, missing, tip, catalogs = found[0]
        try:
            ranges = tuple((first, last) for first, last in msgspec.json.decode(missing))
            history = msgspec.json.decode(catalogs, type=CatalogHistory)
            checkpoint = Checkpoint(epoch, sequence, int(total, 16), ranges, int(tip, 16))
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise Corrupt(f"{self._where} is damaged: build it again with `pcloud graph rebuild`") from error
        self._state = _State.make(checkpoint, history, self._names)
        self._unsure = False

    async def clear(self) -> None:
        """Begin anew, empty."""
        with errors_told(self.settings):
            await wipe_space(self._driver, self._names, schema=False)
        self._lease.token, self._leads_until = 0, 0.0
        self._state = _State.make(START, CatalogHistory(), self._names)
        await self._open()

    async def close(self, *, abruptly: bool = False) -> None:
        """Give the lease up, so that another node need not wait for its end; closing twice does nothing. `abruptly`: the server does not
        answer anyway."""
        driver, token = self._driver, self._lease.token
        self._lease.token = 0
        if token and not abruptly:
            with contextlib.suppress(PCloudError):
                await self._ask_write(self._lease.release, {"holder": self.settings.holder, "token": token})
        await driver.close()

    async def _ask_write(self, text: str, parameters: Mapping[str, Any]) -> None:
        async with self._transaction(write=True) as tx:
            await run(tx, text, dict(parameters))
            await tx.commit()

    @property
    def _where(self) -> str:
        return f"the graph on the Neo4j server at {self.settings.address}"


def _position(at: Checkpoint) -> dict[str, Any]:
    return {
        "epoch": at.epoch, "sequence": at.sequence, "hash": f"{at.hash:x}", "missing": _text(at.missing), "tip": f"{at.tip:x}",
    }  # fmt: skip


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _parts(events: list[StoredEvent], before: _State, names: Names) -> list[tuple[list[StoredEvent], _State]]:
    """The events cut where the catalog changes, each part with the state that it is folded in."""
    parts: list[tuple[list[StoredEvent], _State]] = []
    state = before
    for members in transactions(events):
        history = state.history.after(members)
        if parts and history is state.history:
            parts[-1][0].extend(members)
            continue
        if history is not state.history:
            state = _State.make(before.checkpoint, history, names)
        parts.append((members, state))
    return parts
