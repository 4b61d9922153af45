"""How an app's process ends: in order on a signal, with the reason on a failure."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import cast

from pcloud.errors import PCloudError, Unavailable

__all__ = ["Background", "Shutdown", "kept", "reasons"]

Background = Callable[[], Awaitable[None]]


class Shutdown:
    """Requested by SIGTERM, SIGINT or `ask`. An app that is serving then drains; one that is still starting is
    cancelled."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._starting = asyncio.current_task()

    def ask(self) -> None:
        self._asked.set()
        if self._starting is not None:
            self._starting.cancel()

    async def wait(self) -> None:
        """Mark the app as started, and wait for the request to stop."""
        self._starting = None
        await self._asked.wait()

    @contextmanager
    def on_signals(self) -> Generator[None, None, None]:
        """Handle signals in this block; a cancellation during the start is a normal end."""
        loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        except asyncio.CancelledError:
            if self._starting is None or not self._asked.is_set():
                raise
            self._starting.uncancel()
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def kept(function: Background) -> None:
    """Run a background task; its failure says which task it was."""
    try:
        await function()
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        logging.getLogger("pcloud.app").exception("the background task %s failed", name)
        raise Unavailable(f"the background task {name} failed: {type(error).__name__}: {error}") from error


def reasons(error: BaseException) -> list[str]:
    """The messages of PCloud's own errors in a group; empty if it contains any other error, whose traceback is then
    needed."""
    if isinstance(error, PCloudError):
        return [error.message]
    if not isinstance(error, BaseExceptionGroup):
        return []
    group = cast("BaseExceptionGroup[BaseException]", error)
    each = [reasons(one) for one in group.exceptions]
    return [] if [] in each else [text for texts in each for text in texts]
