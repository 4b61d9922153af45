"""Keeps a loop running: after an error it is started again, after growing pauses, without disturbing others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from pcloud.errors import PCloudError

__all__ = ["cancelled", "keep_running"]

log = logging.getLogger(__name__)
FIRST_PAUSE = 0.5


async def keep_running(
    name: str, loop: Callable[[], Awaitable[None]], *, longest_pause: float, well: Callable[[], Awaitable[None]]
) -> None:
    """Run the loop until it ends by itself. A loop that worked for `longest_pause` seconds begins with short pauses
    again. `well`: returns once the log answers."""
    clock = asyncio.get_running_loop().time
    pause = FIRST_PAUSE
    while True:
        began = clock()
        try:
            return await loop()
        except PCloudError as error:
            log.warning("%s continues in a moment: %s", name, error)
        except Exception:
            log.exception("%s continues in a moment after an internal error", name)
        if clock() - began > longest_pause:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        await well()
        pause = min(pause * 2, longest_pause)


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until each has ended, with any result."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
