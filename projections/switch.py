"""A projection behind a switch: all users hold the switch, and the version behind it is replaced between two batches.

Reads end on the version on which they began; it is closed when the last of them is done. If the store reports damage,
the switch notifies the code that builds versions (`on_damage`), and callers get `Unavailable` meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pcloud.errors import Corrupt, Unavailable
from projections.checkpoint import Checkpoint
from projections.forgotten import forgets

__all__ = ["Switch", "Versioned"]


class Versioned(Protocol):
    """A projection that folds events and can be closed. `made`: the version of the fold that made it."""

    made: int

    @property
    def checkpoint(self) -> Checkpoint: ...
    async def apply(self, epoch: str, events: Sequence[Any]) -> Checkpoint: ...
    async def close(self) -> None: ...


V = TypeVar("V", bound=Versioned)


class _InUse(Generic[V]):
    """A version and the number of its readers."""

    def __init__(self, projection: V, name: str) -> None:
        self.projection, self.name = projection, name
        self.readers = 0
        self.idle = asyncio.Event()
        self.idle.set()


class Switch(Generic[V]):
    """A target of the projection loop. `turn` is held while a batch is folded: while a task holds it, the projection does not
    change.

    The code that makes it closes it, and with it the version in use.
    """

    def __init__(self, name: str, projection: V, named: str) -> None:
        self.name = name
        self.turn = asyncio.Lock()
        self._now = _InUse(projection, named)
        self._on_damage: Callable[[Corrupt], Awaitable[None]] | None = None
        self._on_unreadable: Callable[[Corrupt], None] = lambda error: None
        self._before_forgetting: Callable[[], Awaitable[None]] | None = None

    @property
    def in_use(self) -> V:
        """The version in use."""
        return self._now.projection

    @property
    def named(self) -> str:
        """The name of the version in use."""
        return self._now.name

    @property
    def version(self) -> int:
        return self._now.projection.made

    @property
    def checkpoint(self) -> Checkpoint:
        return self._now.projection.checkpoint

    def on_damage(
        self, while_folding: Callable[[Corrupt], Awaitable[None]], while_reading: Callable[[Corrupt], None]
    ) -> None:
        """Call these if the store is damaged: the first puts another version in use, with `turn` held, or raises."""
        self._on_damage, self._on_unreadable = while_folding, while_reading

    def before_forgetting(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call this before a `forgotten` event is folded, with `turn` held."""
        self._before_forgetting = call

    async def apply(self, epoch: str, events: Sequence[Any]) -> Checkpoint:
        async with self.turn:
            try:
                return await self._fold(epoch, events)
            except Corrupt as error:
                if self._on_damage is None:
                    raise
                await self._on_damage(error)
                return await self._fold(epoch, events)

    async def heal(self, projection: V, error: Corrupt) -> None:
        """Have another version replace this one, if it is still in use: it reports damage, without an event to fold."""
        async with self.turn:
            if self._now.projection is projection and self._on_damage is not None:
                await self._on_damage(error)

    async def _fold(self, epoch: str, events: Sequence[Any]) -> Checkpoint:
        if self._before_forgetting is not None and forgets(events):
            await self._before_forgetting()
        return await self._now.projection.apply(epoch, events)

    def put(self, projection: V, named: str) -> Callable[[], Awaitable[None]]:
        """Make this version the one in use; `turn` must be held. Returns a function that closes the former one once its
        readers are done."""
        before, self._now = self._now, _InUse(projection, named)
        if (retire := getattr(before.projection, "retire", None)) is not None:
            retire()

        async def close() -> None:
            await before.idle.wait()
            await before.projection.close()

        return close

    async def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a reading method of the version in use; call the next version's if that replaces this one before it
        answers."""
        while True:
            now = self._now
            try:
                return await self._ask(now, method, *arguments, **named)
            except Unavailable:
                if self._now is now:
                    raise

    async def _ask(self, now: _InUse[V], method: str, *arguments: Any, **named: Any) -> Any:
        now.readers += 1
        now.idle.clear()
        try:
            return await getattr(now.projection, method)(*arguments, **named)
        except Corrupt as error:
            self._on_unreadable(error)
            raise Unavailable(f"the view {self.name!r} is damaged and is being rebuilt: try again soon") from error
        finally:
            now.readers -= 1
            if not now.readers:
                now.idle.set()

    async def close(self) -> None:
        await self._now.projection.close()
