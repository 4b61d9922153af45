"""The loop that runs every projection: read what is there, fold whole transactions, notify those who wait.

It does not wait for more than what has arrived (unless `gather` is set, for a store whose commits are expensive), never
gives a target half of a transaction, and never retries a target's failure: it raises the reason, and its owner stops
the service. A log that does not answer and a target that can't store now, such as on a full disk, are not failures: the
loop waits and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pcloud.errors import Corrupt, Unavailable
from projections.checkpoint import Checkpoint
from projections.position import Behind

__all__ = ["AGAIN", "BATCH", "LogEntry", "LogReader", "Projection", "ProjectionLoop"]

log = logging.getLogger("pcloud.view")
AGAIN = 1.0  # seconds until a log that does not answer, or a target that can't store now, is tried again
BATCH = 500
"""About as many entries are folded in one transaction of the target; a larger transaction of the log still goes in
whole."""


class LogEntry(Protocol):
    """The content of a log at a sequence; entries with the same `tx` are folded together."""

    @property
    def sequence(self) -> int: ...
    @property
    def tx(self) -> str: ...
    @property
    def ends_transaction(self) -> bool: ...


E = TypeVar("E", bound=LogEntry)
E_in = TypeVar("E_in", bound=LogEntry, contravariant=True)


class LogReader(Protocol[E]):
    """The part of the event store (or of another log) that a loop needs."""

    @property
    def epoch(self) -> str: ...

    def follow(self, after: int) -> AsyncGenerator[list[E], None]: ...

    async def last_sequence(self) -> int: ...


class Projection(Protocol[E_in]):
    """A projection: its blocking work runs in a thread of its own, so that `apply` does not block the event loop."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def checkpoint(self) -> Checkpoint: ...
    async def apply(self, epoch: str, events: Sequence[E_in]) -> Checkpoint:
        """All of it or nothing. Raises `Unavailable` if it can't store now: the loop calls it again with the same events."""
        ...


class ProjectionLoop(Generic[E]):
    """Folds one log into one target.

    `gather`: seconds to wait for more entries before folding (0: none), cut short as soon as a caller waits. `behind`:
    another loop on the same log that must have folded a batch before this one does, for a projection that reads the other
    projection.
    """

    def __init__(
        self,
        store: LogReader[E],
        target: Projection[E],
        *,
        gather: float = 0.0,
        behind: ProjectionLoop[Any] | None = None,
    ) -> None:
        self._store, self._target, self._gather, self._behind = store, target, gather, behind
        self._callbacks: list[Callable[[Sequence[E]], None]] = []
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._hurry, self._arrived = asyncio.Event(), asyncio.Event()
        self._failure: BaseException | None = None
        self._problem = ""  # why the target can't store now
        self._folded = 0  # the target's position when it last received a batch
        self._told = target.checkpoint.sequence  # up to here, all callbacks have run

    @property
    def checkpoint(self) -> Checkpoint:
        return self._target.checkpoint

    def on_applied(self, callback: Callable[[Sequence[E]], None]) -> Callable[[], None]:
        """Call `callback` with every batch, in order, after the target has committed it and before any waiting caller
        continues.

        It must not block and not raise. Returns a function that removes it.
        """
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    async def wait_for(self, sequence: int, timeout: float | None = 10.0) -> None:
        """Return once the target has `sequence`; raises `Unavailable` after `timeout` seconds (None: never) or if the
        loop has failed."""
        if self._told >= sequence:
            return
        if self._failure is not None:
            raise Unavailable(f"the view {self._target.name!r} has stopped: {self._failure}") from self._failure
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = sequence
        self._hurry.set()
        try:
            # Not wait_for: before Python 3.12 it may swallow a cancellation that comes together with the result.
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError as error:
            raise Unavailable(
                f"the view {self._target.name!r} is at {self.checkpoint.sequence} and did not reach {sequence} "
                f"within {timeout:g} s: {self._problem or 'try again'}"
            ) from error
        finally:
            self._waiting.pop(future, None)

    async def run(self) -> None:
        """Fold until cancelled; raises the reason if it can't go on."""
        try:
            await self._check_position()
            self._tell(self.checkpoint.sequence)
            while True:
                await self._read_on()
                log.warning(
                    "view %s: it stands at %d now, and is folded again from there",
                    self._target.name,
                    self.checkpoint.sequence,
                )
        except BaseException as error:
            self._fail(error)
            raise

    def look_again(self) -> None:
        """Check the target's position: it may have gone back, as for a server that was restored from a backup, or it
        may be gone."""
        self._arrived.set()

    async def _read_on(self) -> None:
        """Fold what comes after the target's checkpoint, until the target's position turns out to have gone back."""
        self._folded = self.checkpoint.sequence
        inbox: _Inbox[E] = _Inbox(self._hurry, self._arrived)
        reader = asyncio.create_task(inbox.fill(self._store.follow(self._folded)))
        try:
            while True:
                await inbox.wait()
                if self.checkpoint.sequence < self._folded:
                    return
                await self._gather_more(inbox)
                await self._fold(inbox)
        except Behind:
            return
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _check_position(self) -> None:
        last = await self._last_sequence()
        at = self.checkpoint
        if at.epoch and (at.epoch != self._store.epoch or at.sequence > last):
            raise Corrupt(
                f"the view {self._target.name!r} stands at {at.epoch}.{at.sequence}, which is not on the log {self._store.epoch}"
                f" (its last is {last}): delete the view's files, and it is built again from the log"
            )

    async def _last_sequence(self) -> int:
        """Wait for a log that does not answer."""
        while True:
            try:
                return await self._store.last_sequence()
            except Unavailable as error:
                log.info("the view %s waits for the log: %s", self._target.name, error.message)
                await asyncio.sleep(AGAIN)

    async def _gather_more(self, inbox: _Inbox[E]) -> None:
        if not self._gather or self._waiting or inbox.full:
            return
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._gather):
                await self._hurry.wait()

    async def _fold(self, inbox: _Inbox[E]) -> None:
        while batch := inbox.take():
            await self._apply(batch)

    async def _apply(self, events: list[E]) -> None:
        last = events[-1].sequence
        if self._behind is not None:
            await self._behind.wait_for(last, timeout=None)
        await self._apply_when_possible(events)
        self._folded = last
        if untold := [event for event in events if event.sequence > self._told]:
            for callback in list(self._callbacks):
                callback(untold)
        self._tell(last)

    async def _apply_when_possible(self, events: list[E]) -> None:
        while True:
            try:
                await self._target.apply(self._store.epoch, events)
            except Behind:
                raise
            except Unavailable as error:
                if not self._problem:
                    log.warning("view %s: folding goes on when this is over: %s", self._target.name, error.message)
                self._problem = error.message
                await asyncio.sleep(AGAIN)
            else:
                if self._problem:
                    log.warning("view %s: folding goes on", self._target.name)
                self._problem = ""
                return

    def _tell(self, sequence: int) -> None:
        """Wake the callers that wait for it; the projection may have advanced by itself before the loop ran."""
        self._told = max(self._told, sequence)
        for future, wanted in list(self._waiting.items()):
            if wanted <= self._told and not future.done():
                future.set_result(None)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        for future in self._waiting:
            if not future.done():
                future.set_exception(Unavailable(f"the view {self._target.name!r} has stopped: {error!r}"))


class _Inbox(Generic[E]):
    """What has been read and not folded, bounded; the head of a transaction stays in it until the end has arrived."""

    def __init__(self, hurry: asyncio.Event, arrived: asyncio.Event) -> None:
        self._entries: list[E] = []
        self._failure: Exception | None = None
        self._arrived, self._taken, self._hurry = arrived, asyncio.Event(), hurry

    @property
    def full(self) -> bool:
        return len(self._entries) >= BATCH

    async def fill(self, log: AsyncGenerator[list[E], None]) -> None:
        try:
            async with contextlib.aclosing(log):
                async for entries in log:
                    self._entries += entries
                    self._arrived.set()
                    if self.full:
                        self._hurry.set()
                    while self.full and _complete(self._entries):
                        self._taken.clear()
                        await self._taken.wait()
            raise Unavailable("the log ended under its reader")
        except Exception as error:
            self._failure = error
            self._arrived.set()
            self._hurry.set()

    async def wait(self) -> None:
        """Wait until something new has arrived; raises the reader's failure."""
        await self._arrived.wait()
        self._arrived.clear()
        if self._failure is not None:
            raise self._failure

    def take(self) -> list[E]:
        end = _complete(self._entries)
        batch = self._entries[:end]
        del self._entries[:end]
        self._taken.set()
        return batch


def _complete(entries: Sequence[LogEntry]) -> int:
    """How many of the first entries form a batch of whole transactions, about BATCH; 0 if not even one is whole.

    A transaction is whole if its last member is there, or an entry of another one: a purge may have removed its end.
    """
    end = 0
    for index, entry in enumerate(entries):
        if index >= BATCH and end:
            break
        if entry.ends_transaction or (index + 1 < len(entries) and entries[index + 1].tx != entry.tx):
            end = index + 1
    return end
