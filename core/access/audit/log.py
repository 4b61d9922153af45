"""Writes down who called what and who was refused what, how it ended and how long it took: never arguments, results or tokens.

Records go to the stream AUDIT behind the caller's back, so that an answer does not wait for another fsync; they are written in order,
and what is waiting is bounded. Those still waiting when core is killed are lost: what happened to the data is in the log.

A record, as it is read back:

    kind      call, send, api, bus, limit, archive, web, network
    time      seconds since 1970
    actor     person:ID, device:ID, app:NAME, or anyone where nobody knows who it was
    through   the app through whose page, gateway or web server a person or device acted; '' for none
    target    what was asked for: app/action, a subject of the bus, a resource
    what      what was done with it, or why it was refused, in a few words
    outcome   OK, or the code of the error
    seconds   how long it took
    count     how many such refusals this one stands for, where there were too many to be told one by one
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from core.access.audit.bound import Refusals
from pcloud.errors import PCloudError

__all__ = ["ANYONE", "LONGEST_TEXT", "Audit"]

log = logging.getLogger(__name__)
Record = Mapping[str, Any]
ANYONE = "anyone"
# What is written down may be of an attacker's making.
LONGEST_TEXT = 256


class Audit:
    """Made by `Audit.open`, which writes what is left and closes it."""

    def __init__(
        self, write: Callable[[Record], Awaitable[Any]], waiting: int, refusals: Refusals | None = None
    ) -> None:
        self._write = write
        self._records: asyncio.Queue[Record] = asyncio.Queue(waiting)
        self._refusals = refusals or Refusals()
        self._refusals.overflow = self._offer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, write: Callable[[Record], Awaitable[Any]], *, waiting: int = 1000) -> AsyncIterator[Audit]:
        audit = cls(write, waiting)
        task = asyncio.create_task(audit._run(), name="audit")
        try:
            yield audit
        finally:
            audit._refusals.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await audit._records.join()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return self._records.qsize()

    async def record(self, record: Record) -> None:
        """What happened, complete. Returns at once unless very many are waiting. Refusals are bounded as in `refused`."""
        if record.get("outcome", "OK") == "OK" or self._refusals.admit(record):
            await self._records.put(record)

    def noted(self, record: Record) -> None:
        """What happened, complete. Never waits: where very many are waiting, it is left out."""
        self._offer(record)

    def refused(
        self,
        kind: str,
        actor: str,
        target: str,
        what: str,
        *,
        outcome: str = "FORBIDDEN",
        through: str = "",
        at: float | None = None,
        count: int = 1,
    ) -> None:
        """Somebody was refused something, or met a bound. Never waits: past a number in a while, refusals of one kind to one actor
        are only counted, and told as one record. `through`: the app through which the actor asked."""
        record: dict[str, Any] = {
            "kind": kind, "time": time.time() if at is None else at, "actor": actor, "through": through,
            "target": target[:LONGEST_TEXT], "what": what[:LONGEST_TEXT], "outcome": outcome, "seconds": 0.0,
        }  # fmt: skip
        if count > 1:
            record["count"] = count
        if self._refusals.admit(record):
            self._offer(record)

    def _offer(self, record: Record) -> None:
        try:
            self._records.put_nowait(record)
        except asyncio.QueueFull:
            log.warning("too much is waiting to be written to the audit log; left out: %s", dict(record))

    async def _run(self) -> None:
        while True:
            record = await self._records.get()
            try:
                await self._write(record)
            except Exception as error:  # one record must not end them all: calls wait when nobody writes
                log.warning(
                    "a record could not be written to the audit log: %s",
                    error,
                    exc_info=not isinstance(error, PCloudError),
                )
            finally:
                self._records.task_done()
