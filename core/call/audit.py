"""Writes down who called what, how it ended and how long it took: never arguments, results or tokens.

Records go to the stream AUDIT behind the caller's back, so that an answer does not wait for another fsync; they are
written in order, and what is waiting is bounded. Those still waiting when core is killed are lost: what happened to
the data is in the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from pcloud.errors import PCloudError

__all__ = ["Audit"]

log = logging.getLogger(__name__)
Record = Mapping[str, Any]


class Audit:
    """Made by `Audit.open`, which writes what is left and closes it."""

    def __init__(self, write: Callable[[Record], Awaitable[Any]], waiting: int) -> None:
        self._write = write
        self._records: asyncio.Queue[Record] = asyncio.Queue(waiting)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, write: Callable[[Record], Awaitable[Any]], *, waiting: int = 1000) -> AsyncIterator[Audit]:
        audit = cls(write, waiting)
        task = asyncio.create_task(audit._run(), name="audit")
        try:
            yield audit
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await audit._records.join()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def record(self, record: Record) -> None:
        """Returns at once unless very many are waiting."""
        await self._records.put(record)

    async def _run(self) -> None:
        while True:
            record = await self._records.get()
            try:
                await self._write(record)
            except Exception as error:  # one record must not end them all: calls wait when nobody writes
                log.warning(
                    "a call could not be written to the audit log: %s",
                    error,
                    exc_info=not isinstance(error, PCloudError),
                )
            finally:
                self._records.task_done()
