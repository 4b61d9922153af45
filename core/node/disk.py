"""Keeps the log from ever meeting a full disk: below the reserve, the node accepts nothing new and says why.

A full disk is worse than a refused write: nats-server stops, and even a purge fails. Reads continue, and writes continue once there is
room again. Nothing new means: no transaction, no durable call, no attempt of a run; work in progress is recorded. Deletions make room,
so they are stored until the last megabytes.
"""

from __future__ import annotations

import asyncio
import logging

from core.node.folder import LEAST_FREE, DataFolder
from pcloud.errors import Unavailable

__all__ = ["DiskGuard"]

log = logging.getLogger("pcloud.disk")
LOOK_SECONDS = 5.0


class DiskGuard:
    """Guards the log (`EventStore.admit_when(guard.check)`): refuses while the disk has less than `reserve` bytes free, and deletions
    while it has less than `LEAST_FREE`."""

    def __init__(self, folder: DataFolder, reserve: int):
        self._folder = folder
        self._reserve = reserve
        self._problem = ""
        self._last_megabytes = False
        self.look()

    @property
    def problem(self) -> str:
        """Why nothing is written now; '' if all is well."""
        return self._problem

    def check(self, removes: bool = False) -> None:
        """Raises `Unavailable` with the reason if nothing new may be stored. `removes`: it is about a deletion."""
        if self._problem and (self._last_megabytes or not removes):
            raise Unavailable(self._problem)

    async def watch(self) -> None:
        """Check every few seconds, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        free = self._folder.free_bytes()
        problem = ""
        if free < self._reserve:
            problem = (
                f"the disk of {self._folder.root} has {free // 2**20} MB free, and PCloud keeps {self._reserve // 2**20} MB in reserve: "
                "delete something, such as an app with its data (`pcloud app remove NAME --forget`); it continues by itself"
            )
        if bool(problem) != bool(self._problem):
            log.warning("%s", problem or "there is room on the disk again")
        self._problem, self._last_megabytes = problem, free < LEAST_FREE
