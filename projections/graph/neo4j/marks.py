"""Detects whether another node is committing a batch. Neo4j shows a commit's changes one after the other, and a reader
can't tell that from the data.

So if several nodes share the projection, each commit is announced: `begun` counts up while the batch's transaction has the
projection's record locked, and `done` follows once that is over. If `begun` and `done` are equal, and the same in two looks,
nothing was committed in between. A holder that died in between is noticed by its lock: the node that gets it may set
`done`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from neo4j import AsyncTransaction

from projections.graph.neo4j.connection import run
from projections.graph.neo4j.names import Names

__all__ = ["NOTICE_MILLISECONDS", "Marks"]

ATTEMPTS = 4
NOTICE_MILLISECONDS = 3_000  # time in which a node that was alone with its projection learns that it no longer is
T = TypeVar("T")
Ask = Callable[[str, Mapping[str, Any]], Awaitable[list[list[Any]]]]


class Opener(Protocol):
    def __call__(self, *, write: bool) -> AbstractAsyncContextManager[AsyncTransaction]: ...


class Marks:
    """`ask` reads; `opened` returns a transaction that is rolled back unless it is committed."""

    def __init__(self, names: Names, ask: Ask, opened: Opener) -> None:
        self._ask, self._opened = ask, opened
        mark = f"MERGE (c:{names.commit} {{name: 'graph'}}) SET c."
        self._begin, self._end = f"{mark}begun = coalesce(c.begun, 0) + 1", f"{mark}done = c.begun"
        self._look = f"OPTIONAL MATCH (c:{names.commit}) RETURN coalesce(c.begun, 0), coalesce(c.done, 0)"
        self._lock = f"MATCH (v:{names.view}) SET v.locked = timestamp()"
        self.share = (
            f"MATCH (v:{names.view}) WHERE v.maker <> $holder AND NOT coalesce(v.shared, false) SET v.shared = true, "
            f"v.expires = CASE WHEN v.expires < timestamp() + {NOTICE_MILLISECONDS} THEN timestamp() + {NOTICE_MILLISECONDS} "
            "ELSE v.expires END"
        )

    async def begin(self) -> None:
        """Announce that the transaction that holds the lock is committed next."""
        await self._write(self._begin)

    async def end(self) -> None:
        await self._write(self._end)

    async def whole(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return an answer during which no other node committed anything."""
        for _ in range(ATTEMPTS):
            [(begun, done)] = await self._ask(self._look, {})
            if begun != done:
                await self._settle()
                continue
            answer = await question()
            if [[begun, begun]] == await self._ask(self._look, {}):
                return answer
        async with self._opened(write=True) as tx:
            await (await run(tx, self._lock)).consume()
            return await question()

    async def _settle(self) -> None:
        """Wait until the holder of the lock has committed or is gone."""
        async with self._opened(write=True) as tx:
            await (await run(tx, self._lock)).consume()
            await (await run(tx, self._end)).consume()
            await tx.commit()

    async def _write(self, text: str) -> None:
        async with self._opened(write=True) as tx:
            await (await run(tx, text)).consume()
            await tx.commit()
