"""Repeats a write that may be repeated until an answer arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventstore.connection import Connection, NoAnswer
from pcloud.errors import Unavailable

__all__ = ["until_answered"]

Result = TypeVar("Result")


async def until_answered(
    connection: Connection, attempt: Callable[[], Awaitable[Result]], what: str, patience: float | None = 30.0
) -> Result:
    """Return the first answer. Raises `Unavailable` if nothing can be stored now, and with `what` if no answer arrived
    within `patience` seconds or the server falls silent. With None, it waits for both."""
    if patience is None:
        await connection.until_writable()
    else:
        connection.check_writes()
    wait = connection.patience(patience)
    while True:
        try:
            return await attempt()
        except NoAnswer as error:
            if not await wait.again():
                raise Unavailable(f"whether {what} was stored is unknown: {error}; try again") from error
