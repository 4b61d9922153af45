"""What an app says about itself: that all works, what does not work, or why it can't answer calls now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from pcloud.errors import PCloudError
from pcloud.gateway import Gateway, fail_for

__all__ = ["Readiness"]

log = logging.getLogger("pcloud.readiness")
RETRY = 1.0


class Readiness:
    """`gateway` is opened at the first change: an app that says nothing is ready as long as it runs."""

    def __init__(self, gateway: Callable[[], Gateway]) -> None:
        self._gateway = gateway
        self._changed = asyncio.Event()
        self._reason, self._serves = "", False

    def become(self, reason: str, *, serves: bool = False) -> None:
        if (reason, serves) != (self._reason, self._serves):
            self._reason, self._serves = reason, serves
            log.info("the app is %s%s", self._state, reason and f": {reason}")
            self._changed.set()

    @property
    def _state(self) -> str:
        return "ready" if not self._reason else "degraded" if self._serves else "not ready"

    @asynccontextmanager
    async def reported(self) -> AsyncGenerator[None, None]:
        """In this block, each change is reported to PCloud; while PCloud can't be reached, the newest one waits."""
        task = asyncio.create_task(self._report(), name="report readiness")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _report(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                answer = await self._gateway().post(
                    "/readiness", {"reason": self._reason, "serves": self._serves}, {}, timeout=30.0
                )
                fail_for(answer)
            except PCloudError as error:
                log.warning("PCloud does not know yet that the app is %s: %s", self._state, error)
                self._changed.set()
                await asyncio.sleep(RETRY)
