"""Goes on with a view whose store went away in the middle of a long work, once that is there again; gives up after a bounded time.

Only for views that say when they are there (`until_reached`): of others nothing is known that waiting would help against.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pcloud.errors import Unavailable

__all__ = ["Away", "patiently"]

log = logging.getLogger("pcloud.view")
AWAY_SECONDS = 600.0  # that a store may be away at a time
TRIES = 8  # without an event folded in between
FIRST_PAUSE = 0.1  # seconds; doubled with each try
T = TypeVar("T")


class Away(Unavailable):
    """The store stayed away; what was done is kept, and can be gone on with."""


async def patiently(view: Any, work: Callable[[], Awaitable[T]]) -> T:
    """The work's result; it is begun again wherever the view stands then, and holds nothing while it is waited for. Raises `Away`."""
    tries = 0
    while True:
        before = view.checkpoint.sequence
        try:
            return await work()
        except Unavailable as error:
            if not hasattr(view, "until_reached"):
                raise
            tries = 1 if view.checkpoint.sequence > before else tries + 1
            if tries > TRIES:
                raise Away(error.message) from error
            log.warning("waiting for a store that is away: %s", error.message)
            await asyncio.sleep(FIRST_PAUSE * 2**tries)
            try:
                async with asyncio.timeout(AWAY_SECONDS):
                    await view.until_reached()
            except TimeoutError:
                raise Away(error.message) from error
