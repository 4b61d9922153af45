"""Prevents answers from half of a batch. Neo4j shows a commit's changes one after the other while it makes them, so a
query that ran during a commit of this process is repeated; after some repetitions, commits wait for it.

Commits of other processes are not noticed here; see `marks`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

__all__ = ["Gate"]

ATTEMPTS = 4
T = TypeVar("T")


class Gate:
    def __init__(self) -> None:
        self._commits = 0
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def committing(self) -> AsyncGenerator[None]:
        async with self._lock:
            self._commits += 1
            yield

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS):
            async with self._lock:
                before = self._commits
            answer = await question()
            if before == self._commits:
                return answer
        async with self._lock:
            return await question()
