"""Whether a trigger may see what it waits for: its type is in its app's view, or the trigger stands still.

A trigger without its grant keeps its place in the log, live and history, and goes on from there when the grant is given again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.graph.schema import ViewRegistry, ViewType
from core.work.processor.plan import TriggerPlan
from pcloud.errors import Forbidden, NotFound
from pcloud.subject import TypeName

__all__ = ["Sight"]


class Sight:
    """Over the views of now; `close()` stops listening."""

    def __init__(self, views: ViewRegistry) -> None:
        self._views = views
        self._swapped = asyncio.Condition()
        self._notices = set[asyncio.Task[None]]()
        self.close = views.on_swap(self._notice)

    def of(self, plan: TriggerPlan) -> ViewType | None:
        """The type as the trigger's app sees it; None where it does not."""
        return self.seen(plan.app, plan.type)

    def seen(self, app: str, type: TypeName) -> ViewType | None:
        """The type in the app's view."""
        try:
            return self._views.app(app).by_stored.get(str(type))
        except NotFound:
            return None

    def demand(self, plan: TriggerPlan) -> ViewType:
        """The same; raises `Forbidden` with what to do."""
        if (type_ := self.of(plan)) is None:
            raise Forbidden(self.lacking(plan))
        return type_

    def lacking(self, plan: TriggerPlan) -> str:
        """Why the trigger stands still; '' when it does not."""
        if self.of(plan) is not None:
            return ""
        return f"the trigger {plan.key} stands still: {plan.app} has no grant to read {plan.type}; it goes on where it was once it has"

    async def while_seen(self, plan: TriggerPlan, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` whenever the type is seen, until it ends by itself; it is cancelled when the type is lost from sight."""
        while True:
            await self._until(plan, seen=True)
            working, losing = asyncio.ensure_future(work()), asyncio.ensure_future(self._until(plan, seen=False))
            try:
                await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return await working
            finally:
                for task in (working, losing):
                    task.cancel()
                await asyncio.gather(working, losing, return_exceptions=True)

    async def _until(self, plan: TriggerPlan, *, seen: bool) -> None:
        async with self._swapped:
            await self._swapped.wait_for(lambda: (self.of(plan) is not None) is seen)

    def _notice(self) -> None:
        task = asyncio.ensure_future(self._wake())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _wake(self) -> None:
        async with self._swapped:
            self._swapped.notify_all()
