"""How a test waits: for a condition, and with one patience for all.

A wait ends as soon as its condition is true, so a long limit costs nothing where the tests pass; a short one fails on a busy machine
for no fault of the code. A test states a limit of its own only where the time itself is the rule, such as for what must end at once.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["PATIENCE", "until", "wait_until"]

PATIENCE = 120.0  # seconds

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], *, seconds: float = PATIENCE, what: str = "the condition") -> Value:
    """Ask until the answer is true and return it; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"{what} did not come true within {seconds:.0f} s"
        time.sleep(0.05)


async def until(condition: Callable[[], Any], *, seconds: float = PATIENCE, what: str = "the condition") -> Any:
    """The same on an event loop; the condition may be a coroutine function."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if value := (await answer if inspect.isawaitable(answer) else answer):
            return value
        assert time.monotonic() < end, f"{what} did not come true within {seconds:.0f} s"
        await asyncio.sleep(0.02)
