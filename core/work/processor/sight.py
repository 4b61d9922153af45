"""Whether a trigger may see its type: if the type is not in its app's view, the trigger waits.

A trigger without its grant keeps its positions in the log, live and history, and continues there when the grant is given again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.graph.schema import ViewRegistry, ViewType
from core.work.processor.compiled_trigger import CompiledTrigger
from pcloud.errors import Forbidden, NotFound
from pcloud.subject import TypeName

__all__ = ["Sight"]


class Sight:
    """Over the current views; `close()` stops listening."""

    def __init__(self, views: ViewRegistry) -> None:
        self._views = views
        self._swapped = asyncio.Condition()
        self._notices = set[asyncio.Task[None]]()
        self.close = views.on_swap(self._notice)

    def of(self, compiled: CompiledTrigger) -> ViewType | None:
        """Return the type as the trigger's app sees it; None if it does not."""
        return self.seen(compiled.app, compiled.type)

    def seen(self, app: str, type: TypeName) -> ViewType | None:
        """Return the type in the app's view."""
        try:
            return self._views.app(app).by_stored.get(str(type))
        except NotFound:
            return None

    def demand(self, compiled: CompiledTrigger) -> ViewType:
        """Return the same; raises `Forbidden` that says what to do."""
        if (type_ := self.of(compiled)) is None:
            raise Forbidden(self.lacking(compiled))
        return type_

    def lacking(self, compiled: CompiledTrigger) -> str:
        """Return why the trigger waits; '' if it does not."""
        if self.of(compiled) is not None:
            return ""
        return (
            f"the trigger {compiled.key} waits: {compiled.app} has no grant to read {compiled.type}; "
            "it continues where it stopped once it has one"
        )

    async def while_seen(self, compiled: CompiledTrigger, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` whenever the type is visible, until it ends by itself; cancel it when the type becomes hidden."""
        while True:
            await self._until(compiled, seen=True)
            working, losing = asyncio.ensure_future(work()), asyncio.ensure_future(self._until(compiled, seen=False))
            try:
                await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return await working
            finally:
                for task in (working, losing):
                    task.cancel()
                await asyncio.gather(working, losing, return_exceptions=True)

    async def _until(self, compiled: CompiledTrigger, *, seen: bool) -> None:
        async with self._swapped:
            await self._swapped.wait_for(lambda: (self.of(compiled) is not None) is seen)

    def _notice(self) -> None:
        task = asyncio.ensure_future(self._wake())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _wake(self) -> None:
        async with self._swapped:
            self._swapped.notify_all()
