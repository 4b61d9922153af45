"""Builds a new version of a projection beside the one in use, from the log, and switches between two batches.

build (the old one answers and folds) → the old one pauses for the last few events → the file names the new one → switch

The old one stays, closed, as the previous version until the next rebuild: `back` catches it up and switches again. At
every moment the file names a whole version, and after a crash, a half-built one is continued at the next start. This
module does not know what a projection holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from pcloud.errors import Conflict, Corrupt, NotFound, PCloudError, Rejected, Unavailable
from projections.alone import Alone
from projections.disk_space import UNBOUNDED, DiskSpace
from projections.forgotten import Traces, forgotten_between
from projections.leftovers import Close, Leftovers
from projections.patience import Away, patiently
from projections.position import misplaced
from projections.progress import Progress, Rebuilt, Tell
from projections.refill import RefillLog, refill
from projections.switch import Switch, Versioned
from projections.versions import Chosen, VersionFile, VersionStore, kind_of, next_name

__all__ = ["Progress", "Rebuilds", "Rebuilt"]

_Built = tuple[Rebuilt, Close]

log = logging.getLogger("pcloud.view")
SAY_EVERY = 5.0
NEAR = 1_000  # events for which the projection in use may pause
ROUNDS = 1_000  # rounds of catching up with a log that grows meanwhile, before it has to pause for more


class Rebuilds:
    """The rebuilds of one projection. `stores`: by kind, the places for its versions. The code that makes it runs `run()` and
    closes the switch."""

    def __init__(
        self, switch: Switch[Any], stores: Mapping[str, VersionStore[Any]], file: VersionFile, source: RefillLog, chosen: Chosen,
        disk_space: DiskSpace = UNBOUNDED,
    ) -> None:  # fmt: skip
        self.switch, self._stores, self._file, self._log = switch, stores, file, source
        self._chosen, self.disk_space = chosen, disk_space
        self._one = asyncio.Lock()
        self._alone = Alone(self._one, switch.name)
        self._damaged = asyncio.Event()
        self._work: asyncio.Task[_Built] | None = None
        self._leftovers = Leftovers(stores)
        self.drop = self._leftovers.drop
        self._say_at = 0.0
        self.progress: Progress | None = None
        self._traces = Traces(self, self._stores.get)
        switch.on_damage(self._heal, self._notice)
        switch.before_forgetting(self._traces.before_folding)

    @property
    def chosen(self) -> Chosen:
        return self._chosen

    async def rebuild(self, to: str = "", tell: Tell = lambda progress: None) -> Rebuilt:
        """Build a new version, in the store of kind `to` ('': the one in use), and switch to it. Raises `Conflict`
        while another is being built, `Rejected` for a kind that this node doesn't have."""
        kind = to or kind_of(self._chosen.current)
        self._check_kind(kind)
        async with self._alone:
            if (name := self._chosen.building) and kind_of(name) != kind:
                await self.drop(name)
            if kind_of(name) != kind:
                name = await next_name(kind, self._stores, self._chosen)
            self._check_room(name)
            self._choose(current=self._chosen.current, previous=self._chosen.previous, building=name)
            built = await self._build(name, tell)
        return await self._tidy(*built)

    async def back(self, tell: Tell = lambda progress: None) -> Rebuilt:
        """Catch the previous version up and switch to it. Raises `NotFound` without a previous version."""
        async with self._alone:
            if not (name := self._chosen.previous):
                raise NotFound(
                    f"the view {self.switch.name!r} has no previous version: a rebuild, or a start after it, has dropped it"
                )
            if name in self._leftovers.read:
                raise Conflict(f"the version {name} of {self.switch.name!r} is still being read from: try again soon")
            self._check_kind(kind_of(name))
            self._check_room(name)
            self._choose(current=self._chosen.current, building=name)
            built = await self._build(name, tell)
        return await self._tidy(*built)

    @property
    def size(self) -> int:
        """Bytes of the version in use on this node's disk."""
        return self._stores[kind_of(self._chosen.current)].size(self._chosen.current)

    def _check_room(self, name: str) -> None:
        there = self._stores[kind_of(name)].size(name)
        needed = self.size - there if kind_of(name) == kind_of(self._chosen.current) else 0
        self.disk_space.check(f"the version {name} of the view {self.switch.name!r}", max(needed, 0))

    def _check_kind(self, kind: str) -> None:
        if kind not in self._stores:
            use = ", ".join(self._stores)
            raise Rejected(f"the view {self.switch.name!r} can't be built in {kind!r}: use one of {use}")

    def stop(self) -> None:
        """Leave the unfinished version as it is; the next start continues it."""
        if self._work is not None:
            self._work.cancel()

    async def idle(self) -> None:
        """Return once no version is being built."""
        async with self._one:
            pass

    async def run(self) -> None:
        """Until cancelled: finish what a crashed process was building, and rebuild versions that another version of the
        fold made or that are damaged."""
        if self._chosen.building:
            await self._attempt(self._finish())
        if self.switch.version != self._stores[kind_of(self._chosen.current)].version:
            log.warning("view %s: version %s of the fold made it, rebuilding it", self.switch.name, self.switch.version)
            await self._attempt(self.rebuild(tell=self._say))
        await asyncio.gather(self._keep_whole(), self._traces.keep_clean(self._again))

    async def _keep_whole(self) -> None:
        while True:
            await self._damaged.wait()
            self._damaged.clear()
            await self._again()

    async def _again(self) -> None:
        await self._attempt(self.rebuild(tell=self._say))

    async def _finish(self) -> None:
        name = self._chosen.building
        try:
            async with self._alone:
                log.warning("view %s: going on with the version %s that was being built", self.switch.name, name)
                try:
                    self._check_room(name)
                except Unavailable:
                    await self._give_up(name)
                    raise
                built = await self._build(name, self._say)
            await self._tidy(*built)
        except Corrupt as error:
            log.warning("%s; it is begun again", error.message)
            await self.rebuild(kind_of(name), self._say)

    async def _attempt(self, work: Awaitable[Any]) -> None:
        """If this fails, the projection in use keeps answering, and the next start tries again if necessary."""
        try:
            await work
        except PCloudError as error:
            log.error("view %s could not be rebuilt: %s", self.switch.name, error.message)

    # --- building ----------------------------------------------------------------------------------------------------------------

    async def _build(self, name: str, tell: Tell) -> _Built:
        """In a task of its own, so that `stop` ends it even while callers wait for it."""
        work = self._work = asyncio.create_task(self._build_beside(name, tell))
        try:
            return await work
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if waiting is not None and waiting.cancelling():
                raise
            raise Unavailable("the node is stopping: it continues building this version at its next start") from None
        finally:
            self._work = None

    async def _build_beside(self, name: str, tell: Tell) -> _Built:
        began, count, named = time.monotonic(), 0, Progress(0, 0, 0.0, 0.0)

        def folded(events: int, at: int) -> None:
            nonlocal count, named
            count += events
            rate = count / max(time.monotonic() - began, 1e-3)
            last = max(self.switch.checkpoint.sequence, at)
            self.progress = named = Progress(at, last, rate, (last - at) / rate)
            tell(named)

        store = self._stores[kind_of(name)]
        what = f"the version {name} of the view {self.switch.name!r}"
        try:
            projection = await store.open(name)
            try:
                if reason := await misplaced(self._log, projection.checkpoint):
                    raise Corrupt(f"{what} is of no use: {reason}")
                async with self.disk_space.kept(what):
                    await store.begin(projection, self._log.epoch)
                    await patiently(projection, lambda: self._catch_up(projection, folded))
                    await store.finish(projection)
                    await patiently(projection, lambda: self._catch_up(projection, folded))
                close_old = await patiently(projection, lambda: self._take_over(projection, name, folded))
            except BaseException:
                await projection.close()
                raise
        except Away:
            raise
        except Exception:
            await self._give_up(name)
            raise
        finally:
            self.progress = None
        seconds = time.monotonic() - began
        log.warning("view %s: %s is in use now (%d events in %.1f s)", self.switch.name, name, count, seconds)
        return Rebuilt(name, self._chosen.previous, count, seconds), close_old

    async def _tidy(self, built: Rebuilt, close_old: Close) -> Rebuilt:
        """Close the former version once its readers are done; another one may already be building meanwhile."""
        try:
            await close_old()
        finally:
            self._traces.closing = bool(self._leftovers.read)
        await self._leftovers.drop_others(lambda: self._chosen.names)
        return built

    async def _catch_up(self, projection: Versioned, folded: Callable[[int, int], None]) -> None:
        for _ in range(ROUNDS):
            goal = self.switch.checkpoint.sequence
            if goal - projection.checkpoint.sequence <= NEAR:
                return
            await refill(self._log, projection, goal, folded)

    async def _take_over(self, projection: Versioned, name: str, folded: Callable[[int, int], None]) -> Close:
        async with self.switch.turn:
            await refill(self._log, projection, self.switch.checkpoint.sequence, folded)
            before, after = self.switch.checkpoint, projection.checkpoint
            if before.sequence == after.sequence and before != after and not (before.missing or after.missing):
                log.warning(
                    "view %s: the old one stood at %s.%d with the hash %x, and the log gives %x at %s.%d",
                    self.switch.name, before.epoch, before.sequence, before.hash, after.hash, after.epoch, after.sequence,
                )  # fmt: skip
            old = self._chosen.current
            kept = (
                old != name
                and not self._traces.in_use
                and not await forgotten_between(self._log, before.sequence, after.sequence)
            )
            self._choose(current=name, previous=old if kept else "")
            self._traces.closing = True
            self._leftovers.read.add(old)
            return partial(self._leftovers.close, old, self.switch.put(projection, name))

    async def _give_up(self, name: str) -> None:
        """Drop what can't be finished; the previous version stays, unless it was this one."""
        chosen = self._chosen
        if name != chosen.current:
            self._choose(current=chosen.current, previous=chosen.previous)
            await self._leftovers.drop_if_there(name)

    # --- damage ------------------------------------------------------------------------------------------------------------------

    async def _heal(self, error: Corrupt) -> None:
        """The store can't fold any more: callers wait until it is rebuilt. The switch's turn is held."""
        log.error("view %s: %s; it is rebuilt now", self.switch.name, error.message)
        kind, old = kind_of(self._chosen.current), self._chosen.current
        name = await next_name(kind, self._stores, self._chosen)
        projection = await self._stores[kind].open(name)
        try:
            await self._stores[kind].begin(projection, self._log.epoch)
            await refill(self._log, projection, self.switch.checkpoint.sequence)
            await self._stores[kind].finish(projection)
        except BaseException:
            await projection.close()
            raise
        self._choose(current=name, previous=self._chosen.previous, building=self._chosen.building)
        close_old = self.switch.put(projection, name)
        await close_old()
        await self._leftovers.drop_if_there(old)

    def _notice(self, error: Corrupt) -> None:
        if not self._damaged.is_set():
            log.error("view %s: %s; it is rebuilt beside the one in use", self.switch.name, error.message)
            self._damaged.set()

    # --- the versions -------------------------------------------------------------------------------------------------

    def _choose(self, current: str, previous: str = "", building: str = "") -> None:
        chosen = Chosen(current, previous, building)
        self.choose(replace(chosen, traces=tuple(name for name in self._chosen.traces if name in chosen.names)))

    def choose(self, chosen: Chosen) -> None:
        self._file.write(chosen)
        self._chosen = chosen

    def _say(self, progress: Progress) -> None:
        if (now := time.monotonic()) >= self._say_at:
            self._say_at = now + SAY_EVERY
            log.info("view %s: %s", self.switch.name, progress)
