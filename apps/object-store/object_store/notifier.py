"""Finds every new object: follows the filer's stream, and compares with the stored objects wherever the stream may have
a gap.

A gap is possible wherever the stream began: after a start of this app or of weed (whose newest minute is only in
memory), or after a lost connection. So each time: subscribe from the checkpoint, then walk through every bucket that
has a webhook. Both fold into the same ledger, in any order. (The filer walks 26,000 objects per second and
distinguishes a key from a folder; a listing over S3 does neither.)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from object_store.flush import Flusher
from object_store.ledger import Ledger
from object_store.metadata import Change, Created, changes, stored
from object_store.misplaced import put_right
from object_store.s3 import S3
from object_store.weed.filer import Filer

__all__ = ["Notifier"]

log = logging.getLogger("object_store.notifier")

_MOST = 512  # messages folded in one transaction


class Notifier:
    """`told` is called when the ledger may hold new notifications."""

    def __init__(self, ledger: Ledger, flusher: Flusher, s3: S3, told: Any) -> None:
        self._ledger, self._flusher, self._s3, self._told = ledger, flusher, s3, told
        self._listing = asyncio.Lock()  # the ledger compares one listing at a time

    async def follow(self, filer: Filer) -> None:
        """Follow until the stream breaks, then raise `Unavailable`."""
        since = self._ledger.checkpoint() or time.time_ns()
        stream, arrived = filer.follow(since), asyncio.Queue[Any](8 * _MOST)
        async with asyncio.TaskGroup() as group:
            group.create_task(_fill(stream, arrived))
            group.create_task(self._reconcile_all(filer))
            while True:
                await self._fold(filer, await _batch(arrived))

    async def _fold(self, filer: Filer, batch: list[Any]) -> None:
        found = list[Change]()
        for response in batch:
            found += changes(response)
            event = response.event_notification
            await put_right(filer, self._s3, event.new_parent_path or response.directory, event.new_entry)
        if not found:
            return
        self._ledger.record(found, batch[-1].ts_ns)
        self._flusher.written()
        self._told()

    async def _reconcile_all(self, filer: Filer) -> None:
        for bucket in self._ledger.buckets():
            await self._s3.create_bucket(bucket.name)  # a power cut may have removed it while the ledger kept it
            if bucket.webhook:
                await self.reconcile(filer, bucket.name)

    async def reconcile(self, filer: Filer, bucket: str) -> None:
        """Compare the ledger with the stored objects and fold the difference in."""
        async with self._listing:
            at, page = time.time_ns(), list[Created]()
            self._ledger.begin_listing()
            async for response in filer.walk(bucket):
                await put_right(filer, self._s3, response.directory, response.entry)
                if found := stored(response, at):
                    page.append(found)
                if len(page) == _MOST:
                    self._ledger.list_page(page)
                    page.clear()
            self._ledger.list_page(page)
            different = self._ledger.end_listing(bucket, at)
        if different:
            log.info("bucket %s: %d differences found by walking through it", bucket, different)
            self._told()


async def _fill(stream: AsyncIterator[Any], arrived: asyncio.Queue[Any]) -> None:
    async for response in stream:
        await arrived.put(response)


async def _batch(arrived: asyncio.Queue[Any]) -> list[Any]:
    """The messages that are there, at least one."""
    batch = [await arrived.get()]
    while len(batch) < _MOST and not arrived.empty():
        batch.append(arrived.get_nowait())
    return batch
