"""Writes down who called what and who was refused what, how it ended and how long it took: never arguments, results or tokens.

Records go to the stream AUDIT in the background, so that an answer does not wait for another fsync. They are written in order, and
the number of waiting records is limited. Records that still wait when core is killed are lost: changes of the data are in the log.

A record, as it is read back:

    kind      call, send, api, bus, limit, archive, web, network
    time      seconds since 1970
    actor     person:ID, device:ID, app:NAME, or anyone if the caller is unknown
    through   the app through whose page, gateway or web server a person or device acted; '' for none
    target    what was asked for: app/action, a subject of the bus, a resource
    what      what was done with it, or why it was refused, in a few words
    outcome   OK, or the code of the error
    seconds   how long it took
    count     how many refusals this record stands for, if they were too many to record one by one
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from core.access.audit.refusal_limit import RefusalLimit
from pcloud.errors import PCloudError

__all__ = ["ANYONE", "LONGEST_TEXT", "Audit"]

log = logging.getLogger(__name__)
Record = Mapping[str, Any]
ANYONE = "anyone"
# The recorded texts may come from an attacker.
LONGEST_TEXT = 256


class Audit:
    """Made by `Audit.open`, which writes the waiting records and closes it."""

    def __init__(
        self, write: Callable[[Record], Awaitable[Any]], waiting: int, refusals: RefusalLimit | None = None
    ) -> None:
        self._write = write
        self._records: asyncio.Queue[Record] = asyncio.Queue(waiting)
        self._refusals = refusals or RefusalLimit()
        self._refusals.overflow = self._offer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, write: Callable[[Record], Awaitable[Any]], *, waiting: int = 1000) -> AsyncGenerator[Audit]:
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
        """Number of records that are not written yet."""
        return self._records.qsize()

    async def record(self, record: Record) -> None:
        """Record a complete event. Returns at once unless very many are waiting. Refusals are limited as in `refused`,
        and never wait: a caller is refused at once even while the log takes no records."""
        if record.get("outcome", "OK") == "OK":
            await self._records.put(record)
        elif self._refusals.admit(record):
            self._offer(record)

    def noted(self, record: Record) -> None:
        """Record a complete event. Never waits: if very many are waiting, the record is dropped."""
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
        """Record a refusal, or a limit that was met. Never waits: beyond a number per window, refusals of one kind to one actor
        are only counted, and recorded as one record. `through`: the app through which the actor sent the request."""
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
            log.warning("too many records wait to be written to the audit log; dropped: %s", dict(record))

    async def _run(self) -> None:
        while True:
            record = await self._records.get()
            try:
                await self._write(record)
            except Exception as error:  # one record must not end the writer: calls would wait for ever
                log.warning(
                    "a record could not be written to the audit log: %s",
                    error,
                    exc_info=not isinstance(error, PCloudError),
                )
            finally:
                self._records.task_done()
