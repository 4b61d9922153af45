"""A Neo4j server that may go away and come back, as a projection that stays: the contract `GraphStore`.

While the server is away, or has not caught up with the log since it came back, queries are refused at once. A wrong
password or a foreign server prevents the start; later it is reported as a problem.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pcloud.errors import Corrupt, PCloudError, Unavailable
from pcloud.event import StoredEvent
from pcloud.subject import Ref
from projections.checkpoint import START, Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.contract import Aggregate, EntityState, Filter, Group, KnownTransaction, Row, Select
from projections.graph.neo4j.lease import LeaseLost
from projections.graph.neo4j.settings import Neo4jSettings
from projections.graph.neo4j.store import VERSION, Neo4jGraph, open_neo4j_graph
from projections.position import Behind, PositionLog, misplaced

__all__ = ["ReconnectingNeo4j", "open_reconnecting"]

log = logging.getLogger("pcloud.view")
WATCH_SECONDS = 1.0  # between two checks whether it is there
HINT = "nothing is lost: sign-in, grants and calls go on, and what apps know is there again when the server is"


async def open_reconnecting(settings: Neo4jSettings, builtin: Catalog, source: PositionLog) -> ReconnectingNeo4j:
    """`source`: the log. Raises `Rejected` for a wrong password, version or database and `Corrupt` for an unusable
    projection, but not for a server that does not answer."""
    graph = ReconnectingNeo4j(settings, builtin, source)
    try:
        await graph.connect()
    except Unavailable as error:
        graph.say(error)
    graph.watch()
    return graph


class ReconnectingNeo4j:
    name = "graph"
    version = made = VERSION

    def __init__(self, settings: Neo4jSettings, builtin: Catalog, source: PositionLog) -> None:
        self.settings = settings
        self._builtin, self._source = builtin, source
        self._graph: Neo4jGraph | None = None
        self._checkpoint, self._catalog = START, builtin
        self._reason = "it was not reached yet"
        self._damage: Corrupt | None = None
        self._goal = 0  # the log's end when the server was reached, up to which it has to catch up
        self._reached, self._lost, self._doubted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._retired = asyncio.Event()
        self._lost.set()
        self._watch: asyncio.Task[None] | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The last known checkpoint."""
        return self._checkpoint if self._graph is None else self._graph.checkpoint

    @property
    def catalog(self) -> Catalog:
        return self._catalog if self._graph is None else self._graph.catalog

    @property
    def problem(self) -> str:
        """Why queries are refused now; '' if they are not."""
        if self._graph is None:
            return f"the graph of the apps is away: {self._reason}; {HINT}"
        at = self._graph.checkpoint.sequence
        if at < self._goal:
            return f"the graph of the apps is catching up, at {at:,} of {self._goal:,} events: try again soon"
        return ""

    @property
    def damage(self) -> Corrupt | None:
        """Why the projection is no longer usable."""
        return self._damage

    @property
    def connected(self) -> bool:
        return self._graph is not None

    async def until_reached(self) -> None:
        """Wait until the server has answered."""
        await self._reached.wait()

    async def until_lost(self) -> None:
        """Wait until the server does not answer."""
        await self._lost.wait()

    async def check(self) -> None:
        """Ask the server itself; raises `Unavailable` if queries are refused now."""
        await self._ask("check")

    # --- the contract ------------------------------------------------------------------------------------------------------------

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """Fold, or raise `Unavailable`: the loop then waits with `until_reached`, so that another projection can be put in
        this one's place meanwhile."""
        if self._damage is not None:
            raise self._damage
        if (graph := self._graph) is None:
            raise Unavailable(self.problem)
        while True:
            try:
                return await graph.apply(epoch, events)
            except LeaseLost as error:
                log.warning("%s", error.message)
            except (Corrupt, Behind):
                raise
            except PCloudError as error:
                await self._lose(graph, error)
                raise Unavailable(error.message) from error

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        while True:
            try:
                return await self._ask("fetch", select, patient=patient)
            except Unavailable:
                if not patient or await self._retired_within(WATCH_SECONDS):
                    raise

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await self._ask("aggregate", type, filter, aggregates)

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await self._ask("group", type, filter, by, limit)

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        return await self._ask("entities", refs)

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._ask("related", type, field, ids)

    async def transaction(self, tx: str) -> KnownTransaction | None:
        return await self._ask("transaction", tx)

    async def dump(self) -> Mapping[str, Any]:
        return await self._ask("dump")

    async def page(self, section: str, after: str, limit: int) -> dict[str, Any]:
        return await self._ask("page", section, after, limit)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections for `page`; empty while the server is away."""
        return self._graph.sections if self._graph is not None else ()

    async def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        graph = self._graph
        if graph is None or self.problem:
            raise Unavailable(self.problem)
        try:
            return await getattr(graph, method)(*arguments, **named)
        except Unavailable as error:
            self._doubted.set()
            raise Unavailable(f"the graph of the apps does not answer: {error.message}; {HINT}") from error

    # --- whether it is there -----------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        graph = await open_neo4j_graph(self.settings, self._builtin, self._source)
        try:
            if reason := await misplaced(self._source, graph.checkpoint):
                raise Corrupt(
                    f"the graph on the Neo4j server at {self.settings.address} does not belong to this log: {reason}"
                )
            self._goal = await self._source.last_sequence()
        except BaseException:
            await graph.close()
            raise
        self._graph, self._reason = graph, ""
        self._lost.clear()
        self._reached.set()

    async def _lose(self, graph: Neo4jGraph, error: PCloudError) -> None:
        if self._graph is graph:
            self._checkpoint, self._catalog = graph.checkpoint, graph.catalog
            self._graph = None
            self._reached.clear()
            self._lost.set()
            self.say(error)
            await graph.close(abruptly=True)

    def say(self, error: PCloudError) -> None:
        if self._reason != error.message:
            log.error("%s", error.message)
        self._reason = error.message

    def watch(self) -> None:
        """Look again and again whether the server is there, until it is closed."""
        self._watch = asyncio.create_task(self._keep_watching(), name="neo4j")

    async def _keep_watching(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._doubted.wait()
            self._doubted.clear()
            await self._look()

    async def _look(self) -> None:
        graph = self._graph
        try:
            if graph is not None:
                await graph.check()
            elif self._damage is None:
                await self.connect()
                log.warning("the Neo4j server at %s is available again", self.settings.address)
        except Corrupt as error:
            self._damage = error
            self.say(error)
            self._reached.set()
        except PCloudError as error:
            if graph is not None:
                await self._lose(graph, error)
            else:
                self.say(error)
        except Exception:
            log.exception("the Neo4j server at %s could not be checked", self.settings.address)

    def retire(self) -> None:
        """Another projection is in use now: end the waits for this one, which can't answer them."""
        self._retired.set()

    async def _retired_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._retired.wait()
        return self._retired.is_set()

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._graph is not None:
            await self._graph.close()
