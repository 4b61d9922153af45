"""The graph in two places: core's own types in a view on this node, the apps' on a server that may be away.

Core's view knows all catalogs and transactions, so signing in, permissions and calls need nothing else. Both views are folded from the one
log, each with its own loop; nothing relates core's types to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pcloud.errors import PCloudError, Unavailable
from pcloud.event import StoredEvent
from pcloud.subject import Ref
from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog
from projections.graph.port import Aggregate, Filter, GraphStore, Group, KnownTransaction, Node, Row, Select
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.position import Behind

__all__ = ["PatientTarget", "SplitGraph", "SplitLoop"]

log = logging.getLogger("pcloud.view")
HOME = "core"
PAUSE = 1.0  # seconds between two looks at a view that is away


class PatientTarget:
    """The target of a loop over a view that may be away: folds when it is there, however long that takes. Meanwhile another view may be
    put in its place."""

    def __init__(self, graph: GraphSwitch) -> None:
        self._graph, self.name = graph, graph.name

    @property
    def version(self) -> int:
        return self._graph.version

    @property
    def checkpoint(self) -> Checkpoint:
        return self._graph.checkpoint

    async def until_there(self) -> None:
        """Where the view stands is known only then."""
        while (reached := getattr(self._graph.view, "until_reached", None)) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await reached()
                    return

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        while True:
            await self.until_there()
            try:
                return await self._graph.apply(epoch, events)
            except Behind:
                raise
            except Unavailable as error:
                if not hasattr(self._graph.view, "until_reached"):
                    raise
                log.warning("folding goes on when the graph is there: %s", error.message)

    async def keep_whole(self, loop: ProjectionLoop[Any]) -> None:
        """Until cancelled: a view that came back damaged is built anew, and one that came back older is folded again, by `loop`, from
        where it stands; no new event is waited for."""
        while True:
            await asyncio.sleep(PAUSE)
            view = self._graph.view
            if (damage := getattr(view, "damage", None)) is not None:
                try:
                    await self._graph.heal(view, damage)
                except PCloudError as error:
                    log.error("the graph could not be built anew, and is tried again: %s", error.message)
            loop.look_again()


class SplitLoop:
    """What tells of folded events and waits for them, where both views must have them."""

    def __init__(self, home: ProjectionLoop[Any], apps: ProjectionLoop[Any], graph: GraphSwitch) -> None:
        self.home, self._apps, self._graph = home, apps, graph
        self._floor = home.checkpoint.sequence  # what there was when this began

    @property
    def problem(self) -> str:
        """Why the apps' types can't be asked now; '' when they can."""
        at = self._graph.checkpoint.sequence
        behind = f"the graph of the apps is being built, at {at:,} of {self._floor:,} events: try again soon"
        return getattr(self._graph.view, "problem", "") or (behind if at < self._floor else "")

    @property
    def checkpoint(self) -> Checkpoint:
        """Where both are; while the apps' view was never reached, where core's is."""
        apart = self._apps.checkpoint
        return min(apart, self.home.checkpoint, key=lambda one: one.sequence) if apart.epoch else self.home.checkpoint

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None]) -> Callable[[], None]:
        """As the loop's, once the apps' view has them."""
        return self._apps.on_applied(callback)

    async def wait_for(self, sequence: int, timeout: float | None = 10.0) -> None:
        """As the loop's; raises `Unavailable` at once when the apps' view goes away."""
        await self.home.wait_for(sequence, timeout)
        if self.problem:
            raise Unavailable(self.problem)
        lost: Callable[[], Any] | None = getattr(self._graph.view, "until_lost", None)
        if lost is None or self._apps.checkpoint.sequence >= sequence:
            return await self._apps.wait_for(sequence, timeout)
        waiting = asyncio.ensure_future(self._apps.wait_for(sequence, timeout))
        losing = asyncio.ensure_future(lost())
        try:
            await asyncio.wait({waiting, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise Unavailable(self.problem or "the graph of the apps was away for a moment: try again")
            return waiting.result()
        finally:
            for task in (waiting, losing):
                task.cancel()
            await asyncio.gather(waiting, losing, return_exceptions=True)


class SplitGraph:
    """The port `GraphStore` for those who ask; each view is folded by its own loop."""

    def __init__(self, home: GraphSwitch, apps: GraphSwitch, loop: SplitLoop) -> None:
        self._home, self._apps, self._loop = home, apps, loop
        self._known, self._declared = home.catalog, 0

    @property
    def home_loop(self) -> ProjectionLoop[Any]:
        return self._loop.home

    @property
    def checkpoint(self) -> Checkpoint:
        return self._loop.checkpoint

    @property
    def catalog(self) -> Catalog:
        return self._home.catalog

    async def check(self) -> None:
        """Raises `Unavailable` when the apps' types can't be asked now; asks the server itself."""
        if self._loop.problem:
            raise Unavailable(self._loop.problem)
        if (check := getattr(self._apps.view, "check", None)) is not None:
            await check()

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        raise NotImplementedError("each of the two views is folded by its own loop")

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        return await (await self._for(select.type)).fetch(select, patient=patient)

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row:
        return await (await self._for(type)).aggregate(type, filter, aggregates)

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]:
        return await (await self._for(type)).group(type, filter, by, limit)

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await (await self._for(type)).related(type, field, ids)

    async def nodes(self, refs: Sequence[Ref]) -> dict[Ref, Node]:
        """Those of core's types from one snapshot, and the others from another."""
        home = [ref for ref in refs if ref.app == HOME]
        apart = [ref for ref in refs if ref.app != HOME]
        found = await self._home.nodes(home) if home else {}
        return {**found, **(await (await self._for("")).nodes(apart) if apart else {})}

    async def transaction(self, tx: str) -> KnownTransaction | None:
        """Waits, where it can, until the apps' view has it too."""
        known = await self._home.transaction(tx)
        if known is not None and not self._loop.problem:
            await self._loop.wait_for(known.revision.sequence)
        return known

    async def dump(self) -> Mapping[str, Any]:
        return await self._apps.dump()

    async def close(self) -> None:
        """Whoever made the views closes them."""

    async def _for(self, type: str) -> GraphStore:
        """The view that has this type; the apps' one once it has the catalog that core's has."""
        if type.startswith(f"{HOME}/"):
            return self._home
        if self._loop.problem:
            raise Unavailable(self._loop.problem)
        if self._home.catalog is not self._known:
            self._known, self._declared = self._home.catalog, self._home.checkpoint.sequence
        if self._apps.checkpoint.sequence < self._declared:
            await self._loop.wait_for(self._declared)
        return self._apps
