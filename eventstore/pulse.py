"""Checks every second whether the log's server answers, so that its silence is known before a request waits for it.

A stopped server keeps its connections open, so it accepts requests and answers none. After two questions in a row
without an answer, the server counts as silent: callers are refused at once, with the reason, and readers wait until it
answers again, however long that takes. Two questions, because a program that was itself held up for a while finds the
time of its first one over.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from pcloud.errors import Unavailable

__all__ = ["Patience", "Pulse"]

log = logging.getLogger("pcloud.log")
EVERY = 1.0
QUESTIONS = 2
LONGEST_PAUSE = 5.0


class Pulse:
    """`ask`: asks the server once, for at most this many seconds, and returns True if it has answered. `silent`: called
    when the silence begins. `patience`: seconds without an answer after which the server counts as silent."""

    def __init__(self, ask: Callable[[float], Awaitable[bool]], silent: Callable[[], None], patience: float) -> None:
        self._ask, self._silent, self._patience = ask, silent, patience
        self._note()
        self._answers = asyncio.Event()
        self._answers.set()
        self._answered_since = asyncio.Event()  # the end of the last standstill
        self.silences = 0
        self.standstill = ""  # why the server is stopped on purpose
        self.closed = False  # the connection: no answer will come

    @property
    def problem(self) -> str:
        """Why nothing can be stored or read now, in words that stay the same meanwhile; '' while the server answers."""
        if self._answers.is_set():
            return ""
        return self.standstill or (
            f"the log's server has not answered since {self._since} UTC: nothing is stored and no action runs until it answers; "
            "PCloud goes on by itself then"
        )

    def check(self) -> None:
        """Raises `Unavailable` while the server is silent."""
        if problem := self.problem:
            raise Unavailable(problem)

    async def well(self) -> None:
        """Wait until the server answers."""
        await self._answers.wait()

    @asynccontextmanager
    async def stopped(self, reason: str) -> AsyncGenerator[None]:
        """The server is stopped on purpose within this block. If that takes long, callers are refused with this reason, which
        stands until the server answers after it; a server that does not counts as silent then. A silence from before the block
        keeps its own reason."""
        if not self._answers.is_set():
            yield
            return
        self.standstill = reason
        try:
            yield
        finally:
            self._answered_since.clear()
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._patience):
                        await self._answered_since.wait()
            finally:
                self.standstill = ""
                if not self._answers.is_set():
                    self._tell()

    async def watch(self) -> None:
        """Until cancelled."""
        missed = 0
        while True:
            if await self._answered_in(self._patience / QUESTIONS):
                missed = 0
                self._answered()
                await asyncio.sleep(min(EVERY, self._patience / QUESTIONS))
            elif (missed := missed + 1) == QUESTIONS:
                self._begin()

    async def _answered_in(self, seconds: float) -> bool:
        """Ask once; an unexpected error counts as no answer, because the next questions must be asked in any case."""
        try:
            return await self._ask(seconds)
        except Exception:
            log.exception("the log's server can't be asked whether it answers")
            await asyncio.sleep(seconds)
            return False

    def _note(self) -> None:
        self._heard, self._since = asyncio.get_running_loop().time(), datetime.now(UTC).strftime("%H:%M:%S")

    def _answered(self) -> None:
        if not self._answers.is_set():
            silent = asyncio.get_running_loop().time() - self._heard
            log.warning("the log's server answers again, after %.0f s", silent)
        self._note()
        self._answers.set()
        self._answered_since.set()

    def _begin(self) -> None:
        self._answers.clear()
        if not self.standstill:
            self._tell()
        self._silent()

    def _tell(self) -> None:
        self.silences += 1
        log.error("%s", self.problem)


class Patience:
    """How long one request waits for its answer: `seconds`, or with None until it comes. `pause`: waits a moment, or for a
    connection, up to this many seconds."""

    def __init__(self, pulse: Pulse, pause: Callable[[float], Awaitable[None]], seconds: float | None) -> None:
        self._pulse, self._pause = pulse, pause
        self._clock = asyncio.get_running_loop().time
        self._bounded = seconds is not None
        self._deadline = math.inf if seconds is None else self._clock() + seconds

    @property
    def over(self) -> bool:
        """True if the request must not be sent again."""
        return self._pulse.closed or self._clock() >= self._deadline or (self._bounded and bool(self._pulse.problem))

    def check(self) -> None:
        """Raises `Unavailable` if the server is silent and this request does not wait for it."""
        if self._bounded:
            self._pulse.check()

    async def again(self) -> bool:
        """Return True after a moment, once it is worth sending the request again; False if it has waited long enough."""
        if self.over:
            return False
        await self._pulse.well()
        await self._pause(min(self._deadline - self._clock(), LONGEST_PAUSE))
        return True
