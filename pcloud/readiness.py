"""What an app says about itself: that it can answer calls, or why it can't now."""

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
        self._reason = ""

    def become(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            log.info("the app is %s", f"not ready: {reason}" if reason else "ready")
            self._changed.set()

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
                answer = await self._gateway().post("/readiness", {"reason": self._reason}, {}, timeout=30.0)
                fail_for(answer)
            except PCloudError as error:
                log.warning(
                    "PCloud does not know yet that the app is %s: %s", "not ready" if self._reason else "ready", error
                )
                self._changed.set()
                await asyncio.sleep(RETRY)
