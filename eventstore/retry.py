"""Repeats what may be repeated until an answer arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventstore.connection import NoAnswer
from pcloud.errors import Unavailable

__all__ = ["until_answered"]

Result = TypeVar("Result")


async def until_answered(attempt: Callable[[], Awaitable[Result]], what: str, patience: float = 30.0) -> Result:
    """Return the first answer; raises `Unavailable` with `what` if none arrived within `patience` seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        try:
            return await attempt()
        except NoAnswer as error:
            if clock() >= deadline:
                raise Unavailable(f"whether {what} was stored is unknown: {error}; try again") from error
            await asyncio.sleep(0.05)
