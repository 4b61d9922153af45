"""Sends each notification in the ledger until core has accepted it: at least once, many at a time, in any order.

Core runs a call once per key, so a crash between the sending and the note in the ledger does no harm. A notification
that fails, because core is away or refuses it, is noted in the ledger and retried after a growing delay. Nothing is
dropped, and no object waits for another one. Only retries share a slower pace, while they fail: a removed webhook may
have thousands of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from object_store.flush import Flusher
from object_store.ledger import Ledger, Notification
from pcloud.errors import Unavailable

__all__ = ["Delivery", "Send", "arguments", "key", "utc"]

log = logging.getLogger("object_store.delivery")

Send = Callable[[str, Mapping[str, Any], str], Awaitable[Any]]  # target, arguments, idempotency key
_AWAY = (1, 30)  # first and longest delay in seconds if core can't be reached …
_REFUSED = (5, 600)  # … and if it refuses
_PACE = 0.1  # seconds between two retries for a bucket, while they fail
_LONGEST_KEY = 1024  # bytes; core accepts as many characters


def arguments(notification: Notification) -> dict[str, Any]:
    n = notification
    return {"bucket": n.bucket, "key": n.key, "etag": n.etag, "size": n.size, "modified": utc(n.modified)}


def key(notification: Notification) -> str:
    """The same for the same upload, even if everything here was lost; a different one if the object was deleted and
    came again."""
    n = notification
    whole = f"{n.bucket}/{n.key}/{n.etag}@{n.modified}"
    if len(whole.encode()) <= _LONGEST_KEY:
        return whole
    return f"{n.bucket}/sha256:{hashlib.sha256(n.key.encode()).hexdigest()}/{n.etag}@{n.modified}"


def utc(seconds: int) -> str:
    """Unix seconds as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Delivery:
    """`run` is its loop. `parallel`: sends at once."""

    def __init__(self, ledger: Ledger, flusher: Flusher, send: Send, *, parallel: int = 16) -> None:
        self._ledger, self._flusher, self._send = ledger, flusher, send
        self._most = parallel
        self._flying = set[tuple[str, str]]()
        self._paced = dict[str, float]()  # the loop's time of a bucket's next retry
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Wake the loop: the ledger has something new."""
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                flying = Counter(bucket for bucket, _ in self._flying)
                buckets = sorted(self._ledger.buckets_waiting(), key=lambda bucket: flying[bucket])
                for number, bucket in enumerate(buckets):
                    room = self._most - len(self._flying)
                    for notification in self._due(bucket, -(-room // (len(buckets) - number))):
                        self._flying.add((bucket, notification.key))
                        group.create_task(self._deliver(notification))
                await self._sleep(buckets)

    def _due(self, bucket: str, room: int) -> list[Notification]:
        """What to send now for a bucket; what was never tried comes first."""
        most = self._most + room
        due = self._free(self._ledger.waiting(bucket, most), room)
        now = asyncio.get_running_loop().time()
        paced = self._paced.get(bucket)
        if len(due) == room or (paced is not None and now < paced):
            return due
        again = self._free(self._ledger.failed_before(bucket, int(time.time()), most), room - len(due))
        if paced is not None and again:
            self._paced[bucket] = now + _PACE
            again = again[:1]
        return due + again

    def _free(self, found: list[Notification], room: int) -> list[Notification]:
        return [n for n in found if (n.bucket, n.key) not in self._flying][:room]

    async def _sleep(self, buckets: list[str]) -> None:
        """Sleep until woken, or until something is due again."""
        now, loop = time.time(), asyncio.get_running_loop()
        due = [at - now for bucket in buckets if (at := self._ledger.next_due(bucket, int(now))) is not None]
        due += [at - loop.time() for at in self._paced.values() if at > loop.time()]
        with suppress(TimeoutError):
            async with asyncio.timeout(min(due, default=None)):
                await self._wake.wait()

    async def _deliver(self, notification: Notification) -> None:
        bucket = notification.bucket
        try:
            await self._flusher.durable()
            await self._send(notification.webhook, arguments(notification), key(notification))
            self._ledger.sent(notification)
            self._paced.pop(bucket, None)
        except Exception as error:  # any error: it concerns only this object
            await self._fail(notification, error)
        finally:
            self._flying.discard((bucket, notification.key))
            self._wake.set()

    async def _fail(self, notification: Notification, error: Exception) -> None:
        first, longest = _AWAY if isinstance(error, Unavailable) else _REFUSED
        delay = min(first * 2 ** min(notification.tries, 16), longest)
        try:
            self._ledger.failed(notification, int(time.time()) + delay)
        except Unavailable:  # nothing can be written now, so nothing says when to try again
            await asyncio.sleep(first)
        self._paced.setdefault(notification.bucket, asyncio.get_running_loop().time() + _PACE)
        what = "%s/%s could not be sent to its webhook, next attempt in %g s: %s"
        log.warning(what, notification.bucket, notification.key[:200], delay, str(error) or error)
