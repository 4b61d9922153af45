"""Send each notification that the ledger still holds until core has taken it: at least once, many at a time, in no order.

Core runs what comes twice under one key once, so a crash between the sending and the note in the ledger does no harm. While core is
away, or refuses a bucket's webhook, that bucket pauses with growing delay and nothing is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from object_store.flush import Flusher
from object_store.ledger import Ledger, Notification
from pcloud.errors import PCloudError, Unavailable

__all__ = ["Delivery", "Send", "arguments", "key"]

log = logging.getLogger("object_store.delivery")

Send = Callable[[str, Mapping[str, Any], str], Awaitable[Any]]  # target, arguments, idempotency key
_AWAY = (0.2, 30.0)  # first and longest pause in seconds when core can't be reached …
_REFUSED = (5.0, 600.0)  # … and when it refuses


def arguments(notification: Notification) -> dict[str, Any]:
    n = notification
    modified = datetime.fromtimestamp(n.modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"bucket": n.bucket, "key": n.key, "etag": n.etag, "size": n.size, "modified": modified}


def key(notification: Notification) -> str:
    """The same for the same upload, also when everything here was forgotten; another one when the object was deleted and came again."""
    n = notification
    return f"{n.bucket}/{n.key}/{n.etag}@{n.modified}"


@dataclass
class _Pause:
    until: float = 0.0
    seconds: float = 0.0


class Delivery:
    """`run` is its loop. `parallel`: sendings at once."""

    def __init__(self, ledger: Ledger, flusher: Flusher, send: Send, *, parallel: int = 16) -> None:
        self._ledger, self._flusher, self._send = ledger, flusher, send
        self._slots = asyncio.Semaphore(parallel)
        self._most = 4 * parallel
        self._flying = set[tuple[str, str]]()
        self._pauses = dict[str, _Pause]()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The ledger has something new."""
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                for notification in self._due():
                    self._flying.add((notification.bucket, notification.key))
                    group.create_task(self._deliver(notification))
                await self._sleep()

    def _due(self) -> list[Notification]:
        now, due = asyncio.get_running_loop().time(), list[Notification]()
        for bucket in self._ledger.buckets_waiting():
            room = self._most - len(self._flying) - len(due)
            if room > 0 and self._pause(bucket).until <= now:
                waiting = self._ledger.waiting(bucket, self._most + room)
                due += [n for n in waiting if (n.bucket, n.key) not in self._flying][:room]
        return due

    async def _sleep(self) -> None:
        """Until woken, or until the first pause ends."""
        now = asyncio.get_running_loop().time()
        pauses = [pause.until - now for pause in self._pauses.values() if pause.until > now]
        with suppress(TimeoutError):
            async with asyncio.timeout(min(pauses, default=None)):
                await self._wake.wait()

    async def _deliver(self, notification: Notification) -> None:
        bucket = notification.bucket
        try:
            async with self._slots:
                if self._pause(bucket).until > asyncio.get_running_loop().time():
                    return
                await self._flusher.durable()
                await self._send(notification.webhook, arguments(notification), key(notification))
            self._ledger.sent(notification)
            self._pauses.pop(bucket, None)
        except PCloudError as error:
            self._hold(notification, error, _AWAY if isinstance(error, Unavailable) else _REFUSED)
        finally:
            self._flying.discard((bucket, notification.key))
            self._wake.set()

    def _pause(self, bucket: str) -> _Pause:
        return self._pauses.get(bucket) or _Pause()

    def _hold(self, notification: Notification, error: PCloudError, bounds: tuple[float, float]) -> None:
        """One failure holds the whole bucket; those that fail together count once."""
        bucket, now = notification.bucket, asyncio.get_running_loop().time()
        pause = self._pauses.setdefault(bucket, _Pause())
        if pause.until > now:
            return
        first, longest = bounds
        pause.seconds = min(max(first, 2 * pause.seconds), longest)
        pause.until = now + pause.seconds
        log.warning(
            "%s/%s could not be told to its webhook, again in %g s: %s",
            bucket, notification.key, pause.seconds, error.message,
        )  # fmt: skip
