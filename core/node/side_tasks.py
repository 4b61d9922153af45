"""The tasks that run beside a node's servers: one task group; the first task that fails stops the node with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

from pcloud.errors import PCloudError

__all__ = ["first_reason", "run_beside", "side_tasks"]


@asynccontextmanager
async def side_tasks() -> AsyncGenerator[asyncio.TaskGroup]:
    """A task group that raises its first PCloud error when it fails, so that the command line can print it in one sentence."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        if (reason := first_reason(failures)) is not None:
            raise reason from failures
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


def run_beside(
    stack: AsyncExitStack, group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, Any]
) -> asyncio.Task[Any]:
    """Start `work`; cancel it, and wait for its end, when the stack unwinds to this point."""
    task = group.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        with suppress(BaseException):  # the group reports failures
            await task

    stack.push_async_callback(end)
    return task


def first_reason(error: BaseException) -> PCloudError | None:
    """Return the first PCloud error within nested groups."""
    if isinstance(error, PCloudError):
        return error
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next((found for one in group.exceptions if (found := first_reason(one)) is not None), None)
    return None
