"""Keeps the log from ever meeting a full disk: below the reserve, the node takes no new writes and says why.

A full disk is worse than a refused write: nats-server stops, and even a purge fails. Reading goes on; so does everything once there is
room again.
"""

from __future__ import annotations

import asyncio
import logging

from core.node.folder import DataFolder
from eventstore import Appended, EventStore, Transaction
from pcloud.errors import Unavailable

__all__ = ["GuardedLog"]

log = logging.getLogger("pcloud.disk")
LOOK_SECONDS = 5.0


class GuardedLog:
    """The part of the log that commands write to, closed while the disk has less than `reserve` bytes free."""

    def __init__(self, store: EventStore, folder: DataFolder, reserve: int):
        self._store = store
        self._folder = folder
        self._reserve = reserve
        self._problem = ""

    @property
    def epoch(self) -> str:
        return self._store.epoch

    @property
    def id_key(self) -> bytes:
        return self._store.id_key

    @property
    def problem(self) -> str:
        """Why nothing is written now; '' when all is well."""
        return self._problem

    async def append(self, transaction: Transaction) -> Appended:
        if self._problem:
            raise Unavailable(self._problem)
        return await self._store.append(transaction)

    async def last_sequence(self) -> int:
        return await self._store.last_sequence()

    async def watch(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        free = self._folder.free_bytes()
        problem = ""
        if free < self._reserve:
            problem = (
                f"the disk of {self._folder.root} has {free // 2**20} MB free, and PCloud keeps {self._reserve // 2**20} MB in reserve: "
                "make room; it goes on by itself"
            )
        if bool(problem) != bool(self._problem):
            log.warning("%s", problem or "there is room on the disk again")
        self._problem = problem
