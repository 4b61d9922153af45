"""Continues work on a projection whose store went away in the middle, once the store is back; gives up after a limited time.

Only for projections that report when they are back (`until_reached`): for others, waiting would not help.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pcloud.errors import Unavailable
from projections.refill import Filled

__all__ = ["Away", "patiently"]

log = logging.getLogger("pcloud.view")
AWAY_SECONDS = 600.0  # that a store may be away each time
TRIES = 8  # without an event folded in between
FIRST_PAUSE = 0.1  # seconds; doubled with each attempt
T = TypeVar("T")


class Away(Unavailable):
    """The store stayed away; the work so far is kept and can be continued."""


async def patiently(projection: Filled, work: Callable[[], Awaitable[T]]) -> T:
    """Return the work's result. It is begun again from the projection's position at that time, and holds nothing while it
    waits. Raises `Away`."""
    tries = 0
    while True:
        before = projection.checkpoint.sequence
        try:
            return await work()
        except Unavailable as error:
            until_reached: Callable[[], Awaitable[None]] | None = getattr(projection, "until_reached", None)
            if until_reached is None:
                raise
            tries = 1 if projection.checkpoint.sequence > before else tries + 1
            if tries > TRIES:
                raise Away(error.message) from error
            log.warning("waiting for a store that is away: %s", error.message)
            await asyncio.sleep(FIRST_PAUSE * 2**tries)
            try:
                async with asyncio.timeout(AWAY_SECONDS):
                    await until_reached()
            except TimeoutError:
                raise Away(error.message) from error
