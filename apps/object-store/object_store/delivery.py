"""Send each notification that the ledger still holds until core has taken it: at least once, many at a time, in no order.

Core runs what comes twice under one key once, so a crash between the sending and the note in the ledger does no harm. One that fails,
because core is away or refuses it, is noted in the ledger and tried again by itself, after a growing delay; nothing is dropped, and no
object waits for another one. Only tries that come again are slowed down together, while they fail: a removed webhook may have
thousands.
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
_AWAY = (1, 30)  # first and longest delay in seconds when core can't be reached …
_REFUSED = (5, 600)  # … and when it refuses
_PACE = 0.1  # seconds between two tries of a bucket that come again, while they fail
_LONGEST_KEY = 1024  # bytes; core takes as many characters


def arguments(notification: Notification) -> dict[str, Any]:
    n = notification
    return {"bucket": n.bucket, "key": n.key, "etag": n.etag, "size": n.size, "modified": utc(n.modified)}


def key(notification: Notification) -> str:
    """The same for the same upload, also when everything here was forgotten; another one when the object was deleted and came again."""
    n = notification
    whole = f"{n.bucket}/{n.key}/{n.etag}@{n.modified}"
    if len(whole.encode()) <= _LONGEST_KEY:
        return whole
    return f"{n.bucket}/sha256:{hashlib.sha256(n.key.encode()).hexdigest()}/{n.etag}@{n.modified}"


def utc(seconds: int) -> str:
    """Unix seconds as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Delivery:
    """`run` is its loop. `parallel`: sendings at once."""

    def __init__(self, ledger: Ledger, flusher: Flusher, send: Send, *, parallel: int = 16) -> None:
        self._ledger, self._flusher, self._send = ledger, flusher, send
        self._most = parallel
        self._flying = set[tuple[str, str]]()
        self._paced = dict[str, float]()  # the loop's time of a bucket's next try that comes again
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The ledger has something new."""
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
        """What of a bucket is to be sent now; what has never been tried comes first."""
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
        """Until woken, or until something is due again."""
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
        except Exception as error:  # of whatever kind: it is this object's alone
            self._fail(notification, error)
        finally:
            self._flying.discard((bucket, notification.key))
            self._wake.set()

    def _fail(self, notification: Notification, error: Exception) -> None:
        first, longest = _AWAY if isinstance(error, Unavailable) else _REFUSED
        delay = min(first * 2 ** min(notification.tries, 16), longest)
        self._ledger.failed(notification, int(time.time()) + delay)
        self._paced.setdefault(notification.bucket, asyncio.get_running_loop().time() + _PACE)
        what = "%s/%s could not be told to its webhook, again in %g s: %s"
        log.warning(what, notification.bucket, notification.key[:200], delay, str(error) or error)
