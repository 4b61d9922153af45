"""Folds into a graph projection on a server that may be away, and waits for it. The log goes on meanwhile, and callers get an
error at once if the apps' types can't be queried now. A projection in a file is never away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from pcloud.errors import PCloudError, Unavailable
from pcloud.event import StoredEvent
from projections.checkpoint import Checkpoint
from projections.graph.switch import GraphSwitch
from projections.loop import ProjectionLoop
from projections.position import Behind

__all__ = ["PatientLoop", "PatientTarget"]

log = logging.getLogger("pcloud.view")
PAUSE = 1.0  # seconds between two checks of a projection that is away


class PatientTarget:
    """The target of a loop over a projection that may be away: it folds once the projection is there, however long that takes.
    Another projection may replace it meanwhile."""

    def __init__(self, graph: GraphSwitch) -> None:
        self._graph, self.name = graph, graph.name

    @property
    def version(self) -> int:
        return self._graph.version

    @property
    def checkpoint(self) -> Checkpoint:
        return self._graph.checkpoint

    async def until_there(self) -> None:
        """Wait: the projection's position is known only then."""
        while (reached := getattr(self._graph.in_use, "until_reached", None)) is not None:
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
                if not hasattr(self._graph.in_use, "until_reached"):
                    raise
                log.warning("folding goes on when the graph is there: %s", error.message)
                await asyncio.sleep(PAUSE)  # the log may be what is away

    async def keep_whole(self, loop: ProjectionLoop[Any]) -> None:
        """Until cancelled: rebuild a projection that came back damaged, and make `loop` fold one that came back older from
        its position, without waiting for a new event."""
        while True:
            await asyncio.sleep(PAUSE)
            projection = self._graph.in_use
            if (damage := getattr(projection, "damage", None)) is not None:
                try:
                    await self._graph.heal(projection, damage)
                except PCloudError as error:
                    log.error("the graph could not be rebuilt, and is tried again: %s", error.message)
            loop.look_again()


class PatientLoop:
    """A graph's loop for those who wait for it. `floor`: the log's end at the start; a projection before it is still being
    built."""

    def __init__(self, loop: ProjectionLoop[Any], graph: GraphSwitch, floor: int) -> None:
        self._loop, self._graph, self._floor = loop, graph, floor

    @property
    def problem(self) -> str:
        """Why the apps' types can't be queried now; '' if they can."""
        at = self._graph.checkpoint.sequence
        behind = f"the graph of the apps is being built, at {at:,} of {self._floor:,} events: try again soon"
        return getattr(self._graph.in_use, "problem", "") or (behind if at < self._floor else "")

    @property
    def checkpoint(self) -> Checkpoint:
        return self._loop.checkpoint

    async def check(self) -> None:
        """Raises `Unavailable` if the apps' types can't be queried now; asks the server itself."""
        if self.problem:
            raise Unavailable(self.problem)
        if (check := getattr(self._graph.in_use, "check", None)) is not None:
            await check()

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None]) -> Callable[[], None]:
        """Like the loop's."""
        return self._loop.on_applied(callback)

    async def wait_for(self, sequence: int, timeout: float | None = 10.0) -> None:
        """Like the loop's; raises `Unavailable` at once if the projection goes away."""
        if self.problem:
            raise Unavailable(self.problem)
        lost: Callable[[], Any] | None = getattr(self._graph.in_use, "until_lost", None)
        if lost is None or self._loop.checkpoint.sequence >= sequence:
            return await self._loop.wait_for(sequence, timeout)
        waiting = asyncio.ensure_future(self._loop.wait_for(sequence, timeout))
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
